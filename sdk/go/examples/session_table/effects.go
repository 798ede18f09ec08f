package main

import (
	"encoding/json"
	"os"

	hookwire "github.com/hookwire/hookwire/sdk/go"
)

// effects is the log that `hookwire verify` reads: a JSON line for each thing that was done, behind the commit and before
// the answer. Without a file it takes nothing down.
type effects struct {
	file *os.File
}

func openEffects(path string) (*effects, error) {
	if path == "" {
		return &effects{}, nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	return &effects{file}, err
}

func (e *effects) handled(event *hookwire.Event, changed bool) error {
	var session hookwire.Session
	if event.Session != nil {
		session = *event.Session
	}
	return e.append(map[string]any{
		"event_id":    event.ID,
		"hook":        event.Hook,
		"ledger_id":   event.LedgerID,
		"incarnation": session.Incarnation,
		"session_id":  session.ID,
		"session_seq": event.SessionSeq,
		"changed":     changed,
		"draining":    event.Draining(),
	})
}

func (e *effects) drain(notice *hookwire.DrainNotice) error {
	return e.append(map[string]any{
		"drain":     notice.GatewayID,
		"boot_id":   notice.BootID,
		"budget_ms": notice.Budget.Milliseconds(),
	})
}

func (e *effects) swept(ghost life) error {
	return e.append(map[string]any{"swept": ghost.incarnation, "ledger_id": ghost.ledger})
}

// append writes a line at once, so that those of several processes do not mix.
func (e *effects) append(line map[string]any) error {
	if e.file == nil {
		return nil
	}
	line["pid"] = os.Getpid()
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = e.file.Write(append(text, '\n'))
	return err
}
