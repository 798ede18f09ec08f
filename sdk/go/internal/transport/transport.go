// Package transport is what lies between a plugin and a dispatcher: gRPC, or a pipe in memory.
package transport

import (
	"context"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// Stream is the plugin's end of one Subscribe call. One goroutine may send while another receives.
type Stream interface {
	// Send gives one message to the transport, and waits while that takes no more.
	Send(*hookwirev1.SubscribeRequest) error
	// Recv waits for the next message. It returns io.EOF where the stream has ended as agreed.
	Recv() (*hookwirev1.SubscribeResponse, error)
	// CloseSend says that nothing more will be sent.
	CloseSend() error
	// Close cuts the stream, ends whoever waits in the others, and lets go of what it held. It may be called again.
	Close()
}

// Dial opens a stream, which lives no longer than ctx.
type Dial func(ctx context.Context) (Stream, error)

// Run runs a *hookwire.Plugin over another transport than gRPC, and without listening for signals. Package hookwire sets it:
// hookwiretest needs it, and nobody else should see it.
var Run func(ctx context.Context, plugin any, dial Dial) error
