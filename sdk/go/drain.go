package hookwire

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// DrainNotice says that a gateway is about to stop: the ends of its sessions follow, then a gateway_stop.
type DrainNotice struct {
	// GatewayID is the gateway's durable name.
	GatewayID string
	// BootID is its boot, empty where none is live.
	BootID string
	// Reason is why it stops.
	Reason hookwirev1.StopReason
	// Budget is the whole time for the plugin, from receipt.
	Budget time.Duration
	// EndsOwed is how many ends the plugin is owed.
	EndsOwed uint64
	// RestartExpected is when the gateway expects to be back, from now; 0 where nobody knows.
	RestartExpected time.Duration
}

func newDrainNotice(wire *hookwirev1.DrainNotice) *DrainNotice {
	return &DrainNotice{
		GatewayID:       wire.GetGatewayId(),
		BootID:          wire.GetBootId(),
		Reason:          wire.GetReason(),
		Budget:          time.Duration(wire.GetBudgetMs()) * time.Millisecond,
		EndsOwed:        wire.GetEndsOwed(),
		RestartExpected: time.Duration(wire.GetRestartExpectedMs()) * time.Millisecond,
	}
}

// drains are the drains in force, by gateway: from a notice to its summary, or to the end of the stream that brought it. The
// zero value holds none. Events look it up often, and it hardly ever changes.
type drains struct {
	mu        sync.Mutex
	deadlines atomic.Pointer[map[string]time.Time] // never changed once it is there
}

// begin takes a notice down.
func (d *drains) begin(gatewayID string, deadline time.Time) {
	d.change(func(deadlines map[string]time.Time) { deadlines[gatewayID] = deadline })
}

// end says that a drain is over.
func (d *drains) end(gatewayID string) {
	d.change(func(deadlines map[string]time.Time) { delete(deadlines, gatewayID) })
}

// endAll says that the stream is over which brought the notices.
func (d *drains) endAll() {
	d.change(func(deadlines map[string]time.Time) { clear(deadlines) })
}

func (d *drains) change(how func(map[string]time.Time)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	changed := make(map[string]time.Time)
	if present := d.deadlines.Load(); present != nil {
		maps.Copy(changed, *present)
	}
	how(changed)
	d.deadlines.Store(&changed)
}

// deadline returns when a gateway's drain is over; the zero time where it does not drain.
func (d *drains) deadline(gatewayID string) time.Time {
	if deadlines := d.deadlines.Load(); deadlines != nil {
		return (*deadlines)[gatewayID]
	}
	return time.Time{}
}
