package hookwire

import (
	"context"
	"errors"
	"time"

	"github.com/hookwire/hookwire/sdk/go/internal/transport"
)

func init() {
	transport.Run = func(ctx context.Context, plugin any, dial transport.Dial) error {
		return plugin.(*Plugin).run(ctx, dial)
	}
}

// errNoHandler says that nothing was subscribed to.
var errNoHandler = errors.New("hookwire: no handler: call On at least once")

// run is a plugin's life: stream after stream, until it is told to stop or turned away. Either way what is in hand is finished
// first, within the grace.
func (p *Plugin) run(stop context.Context, dial transport.Dial) error {
	if len(p.globs) == 0 {
		return errNoHandler
	}
	// What the caller's context carries is the handlers', too; but its end is only the beginning of theirs, and of the stream's.
	ctx := context.WithoutCancel(stop)
	work := newWork(ctx, p)
	defer work.outOfTime()
	var pause backoff
	for {
		err := p.oneStream(ctx, stop, dial, work, &pause)
		var gone *lostError
		switch {
		case err == nil: // told to stop, and all is said
			return nil
		case !errors.As(err, &gone):
			work.finish()
			return err
		}
		wait := gone.wait + pause.next()
		p.log.Log(ctx, pause.level(), "no stream: dialling again", "why", gone.why, "wait", wait)
		if !sleep(stop, wait) {
			work.finish()
			return nil
		}
	}
}

// oneStream opens a stream and serves it. It returns why that is over, nil where the plugin was told to stop.
func (p *Plugin) oneStream(ctx, stop context.Context, dial transport.Dial, work *work, pause *backoff) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Told to stop, a plugin need not wait for a Welcome; a stream that was welcomed goes on until its Goodbye.
	opening, inTime := context.AfterFunc(stop, cancel), time.AfterFunc(handshakeTime, cancel)
	stream, err := p.open(ctx, dial, work)
	if err == nil {
		defer stream.Close()
	}
	stopped, late := !opening(), !inTime.Stop()
	switch {
	case stopped:
		work.finish()
		return nil
	case late:
		return lost("no Welcome in time")
	case err != nil:
		return err
	}
	pause.reset()
	return stream.serve(stop)
}

// sleep waits, and reports whether it came to the end of that.
func sleep(stop context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop.Done():
		return false
	}
}
