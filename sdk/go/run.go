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
	// What the caller's context carries is the handlers', too; its end is only the beginning of theirs.
	ctx, outOfTime := context.WithCancel(context.WithoutCancel(stop))
	defer outOfTime()
	work := newWork(ctx, p)
	var pause backoff
	for {
		err := p.oneStream(ctx, stop, dial, work, outOfTime, &pause)
		var gone *lostError
		if err == nil {
			return nil
		}
		if !errors.As(err, &gone) {
			p.finish(work, outOfTime)
			return err
		}
		wait := gone.wait + pause.next()
		p.log.Info("no stream: dialling again", "why", gone.why, "wait", wait)
		if !sleep(stop, wait) {
			p.finish(work, outOfTime)
			return nil
		}
	}
}

// oneStream opens a stream and serves it. It returns why that is over, nil where the plugin was told to stop.
func (p *Plugin) oneStream(
	ctx, stop context.Context, dial transport.Dial, work *work, outOfTime func(), pause *backoff,
) error {
	// Told to stop, a plugin need not wait for a Welcome; a stream that was welcomed goes on until its Goodbye.
	opening, cancel := context.WithCancel(ctx)
	defer cancel()
	notOpening := context.AfterFunc(stop, cancel)
	stream, err := p.open(opening, dial, work)
	if !notOpening() {
		if stream != nil {
			stream.Close()
		}
		p.finish(work, outOfTime)
		return nil
	}
	if err != nil {
		return err
	}
	pause.reset()
	return stream.serve(stop, p.grace, outOfTime)
}

// finish ends without a stream: nothing can be acknowledged, but a handler that has begun is not cut off in the middle.
func (p *Plugin) finish(work *work, outOfTime func()) {
	if !work.finish(p.grace) {
		p.log.Warn("out of time", "in_hand", work.size())
		outOfTime()
	}
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
