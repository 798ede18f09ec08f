package main

import (
	"context"
	"fmt"

	hookwire "github.com/hookwire/hookwire/sdk/go"
)

func main() {
	plugin := hookwire.New("hello")
	plugin.On("session_*", func(_ context.Context, event *hookwire.Event) error {
		fmt.Println(event.Hook, event.Session.ID, event.Session.Incarnation)
		return nil
	})
	plugin.Main()
}
