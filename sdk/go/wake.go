package hookwire

// wake wakes one goroutine that waits for something to change, which looks again then.
type wake chan struct{}

func newWake() wake { return make(wake, 1) }

// set never waits: one that is not heard yet says as much as two.
func (s wake) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}
