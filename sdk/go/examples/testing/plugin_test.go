package plugin

import (
	"context"
	"testing"
	"time"

	hookwire "github.com/hookwire/hookwire/sdk/go"
	"github.com/hookwire/hookwire/sdk/go/hookwiretest"
)

func newPlugin(ends *int) *hookwire.Plugin {
	plugin := hookwire.New("counts-ends")
	plugin.On("session_end", func(context.Context, *hookwire.Event) error {
		*ends++
		return nil
	})
	return plugin
}

func TestAnEndIsCountedOnce(t *testing.T) {
	ends := 0
	dispatcher := hookwiretest.Start(t, newPlugin(&ends))
	dispatcher.Start(hookwire.Session{ID: "s1"})
	for _, delivery := range dispatcher.Drain(2 * time.Second) {
		if delivery.Answer.Status != hookwire.StatusOK {
			t.Errorf("%s was answered %v", delivery.Hook, delivery.Answer)
		}
	}
	dispatcher.Reconnect()
	if ends != 1 {
		t.Errorf("%d ends", ends)
	}
}
