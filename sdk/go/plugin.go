package hookwire

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

const (
	// clientName is who we are in a dispatcher's logs.
	clientName = "hookwire-sdk-go"
	// clientVersion is which.
	clientVersion = "0.1.0"
)

// Plugin is a plugin in the making: [New], handlers, then [Plugin.Run]. It is not to be changed once it runs.
type Plugin struct {
	name      string
	globs     []string
	routes    routes
	callbacks callbacks
	settings
}

// New returns a plugin of this durable name, 1 to 128 bytes: what it is owed is kept under it.
func New(name string, options ...Option) *Plugin {
	plugin := &Plugin{name: name, settings: defaults()}
	for _, option := range options {
		option(&plugin.settings)
	}
	return plugin
}

// On subscribes to the hooks that a glob (* and ?) matches; "session_start" and "session_end" are one subscription. The first
// handler whose glob matches gets the event; a start or an end without one is answered OK.
//
// Handlers of one session run one after the other, in order; those of different sessions at the same time. Events without a
// session keep their order among themselves, and a gateway_stop waits for all that came before it.
//
// The handler's error is the answer: nil is OK, which promises that the effect survives a crash; [Accepted], [Retry] and [Reject]
// say otherwise. Any other error, or a panic, has a start or an end delivered again, and rejects another event. The
// handler's context carries the event's trace context; it has no deadline (see [Event.TimeLeft]), and is cancelled only once a plugin
// that was told to stop is out of time.
func (p *Plugin) On(glob string, handler Handler) {
	p.globs = append(p.globs, glob)
	p.routes.add(glob, handler)
}

// OnDrain sets what is called at once when a gateway begins to stop, beside whatever is in hand. An error is logged, no more.
func (p *Plugin) OnDrain(handler func(ctx context.Context, notice *DrainNotice) error) {
	p.callbacks.drain = handler
}

// OnSweep sets what is called once on each stream, when all that came from before it has been handled. Nothing that comes behind
// is handled before it returns, so a sweep sees a store at rest. An error is logged, no more.
func (p *Plugin) OnSweep(handler func(ctx context.Context, sweep *Sweep) error) {
	p.callbacks.sweep = handler
}

// Run runs the plugin until ctx is done, or SIGTERM or SIGINT comes; then it takes nothing more, finishes what is in hand
// within the grace, acknowledges it, says Goodbye, and returns nil. A lost connection is dialled again, with jitter, for as long
// as it takes.
//
// It returns a [*DisplacedError] where another process of this name took the plugin's place, a [*RefusedError] where the dispatcher
// does not want it as it is, and another error where nothing could be begun: no handler, or an address that is none.
func (p *Plugin) Run(ctx context.Context) error {
	address, err := parseAddress(p.address)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	return p.run(ctx, address.dial)
}

// exitTurnedAway is how a process ends whose plugin was displaced or refused, as hookwire's own commands do: EX_PROTOCOL.
const exitTurnedAway = 76

// Main is [Plugin.Run] for a main function. It returns where the plugin was told to stop; otherwise it says why on stderr, and ends
// the process with the code 76 if the plugin was displaced or refused, with 1 if nothing could be begun.
func (p *Plugin) Main() {
	err := p.Run(context.Background())
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	var (
		displaced *DisplacedError
		refused   *RefusedError
	)
	if errors.As(err, &displaced) || errors.As(err, &refused) {
		os.Exit(exitTurnedAway)
	}
	os.Exit(1)
}

// hello returns who the plugin is and what it wants.
func (p *Plugin) hello() *hookwirev1.SubscribeRequest_Hello {
	return &hookwirev1.SubscribeRequest_Hello{
		SubscriberId:  p.name,
		InstanceId:    p.instanceID,
		Hooks:         p.globs,
		Filter:        &hookwirev1.Filter{Agents: p.agents, Keys: p.keys},
		Announce:      p.announce,
		MaxInFlight:   p.maxInFlight,
		Retention:     p.retention.wire(),
		WhenFull:      hookwirev1.WhenFull(p.whenFull),
		ClientName:    clientName,
		ClientVersion: clientVersion,
	}
}

func defaults() settings {
	return settings{
		instanceID:  rand.Text(),
		concurrency: 256,
		grace:       10 * time.Second,
		store:       NewMemoryStore(),
		log:         slog.Default(),
	}
}
