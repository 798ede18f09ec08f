package transport

import (
	"context"
	"io"
	"sync"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Pipe is a stream in memory. The plugin has its methods; the dispatcher's side has what is said and heard.
type Pipe struct {
	// Said is what the dispatcher says.
	Said chan *hookwirev1.SubscribeResponse
	// Heard is what the plugin says.
	Heard chan *hookwirev1.SubscribeRequest
	// HalfClosed is closed once the plugin has said all.
	HalfClosed chan struct{}
	// Cut is closed once the plugin has cut the stream.
	Cut chan struct{}
	// Ended is closed once the dispatcher has ended the stream.
	Ended chan struct{}

	err       error
	halfClose sync.Once
	end       sync.Once
	cut       sync.Once
}

// NewPipe makes one that lives no longer than ctx.
func NewPipe(ctx context.Context) *Pipe {
	pipe := &Pipe{
		Said:       make(chan *hookwirev1.SubscribeResponse),
		Heard:      make(chan *hookwirev1.SubscribeRequest, 2),
		HalfClosed: make(chan struct{}),
		Cut:        make(chan struct{}),
		Ended:      make(chan struct{}),
	}
	context.AfterFunc(ctx, pipe.Close)
	return pipe
}

// Say has the plugin receive a message, and reports whether it did: false where the stream is over.
func (p *Pipe) Say(message *hookwirev1.SubscribeResponse) bool {
	select {
	case p.Said <- message:
		return true
	case <-p.Ended:
		return false
	case <-p.Cut:
		return false
	}
}

// End ends the stream as a dispatcher does: nil is io.EOF for the plugin, anything else a status.
func (p *Pipe) End(err error) {
	p.end.Do(func() {
		if p.err = err; err == nil {
			p.err = io.EOF
		}
		close(p.Ended)
	})
}

// Send implements Stream.
func (p *Pipe) Send(message *hookwirev1.SubscribeRequest) error {
	select {
	case <-p.Cut:
		return io.EOF
	case <-p.Ended:
		return io.EOF
	default:
	}
	select {
	case p.Heard <- message:
		return nil
	case <-p.Cut:
		return io.EOF
	case <-p.Ended:
		return io.EOF
	}
}

// Recv implements Stream.
func (p *Pipe) Recv() (*hookwirev1.SubscribeResponse, error) {
	select {
	case message := <-p.Said:
		return message, nil
	case <-p.Ended:
		return nil, p.err
	case <-p.Cut:
		return nil, status.Error(codes.Canceled, "cut")
	}
}

// CloseSend implements Stream.
func (p *Pipe) CloseSend() error {
	p.halfClose.Do(func() { close(p.HalfClosed) })
	return nil
}

// Close implements Stream.
func (p *Pipe) Close() {
	p.cut.Do(func() { close(p.Cut) })
}
