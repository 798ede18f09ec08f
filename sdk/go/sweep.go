package hookwire

// Sweep is the moment at which a plugin knows what it is owed: everything from before this stream has been handled. What
// the plugin's own store holds open and is not owed an end is a ghost: close it now.
type Sweep struct {
	// LedgerID is the ledger that this stream belongs to.
	LedgerID string
	// Known is whether the dispatcher remembers this plugin. If not, only what this stream named is owed an end.
	Known bool

	announced bool
	named     map[uint64]struct{}
}

// IsOwed reports whether the end of this life is still to come, or came on this stream. It is exact with [WithAnnounce];
// without, a life that a dispatcher which remembers this plugin did not name counts as owed.
func (s *Sweep) IsOwed(ledgerID string, incarnation uint64) bool {
	if ledgerID != s.LedgerID {
		return false
	}
	_, named := s.named[incarnation]
	return named || s.Known && !s.announced
}
