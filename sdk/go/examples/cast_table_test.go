package examples_test

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite"
)

// sessionTable is a process of that example.
type sessionTable struct {
	*process
	file, log string
}

// sessionTableIn starts one that keeps its table and its log in a directory.
func (d *dispatcher) sessionTableIn(directory string) *sessionTable {
	d.t.Helper()
	file, log := filepath.Join(directory, "sessions.db"), filepath.Join(directory, "effects.jsonl")
	environment := []string{"HOOKWIRE_ADDR=" + d.address, "HOOKWIRE_SUBSCRIBER=table", "HOOKWIRE_VERIFY_LOG=" + log}
	return &sessionTable{begin(d.t, environment, filepath.Join(programs, "session_table"), file), file, log}
}

// row is one life in the table.
type row struct {
	id, key, agentID, status, reason string
	events                           int
}

// rows returns the table in order of the incarnations.
func (s *sessionTable) rows() []row {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.file+"?_pragma=busy_timeout(5000)")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	result, err := db.Query("SELECT id, key, agent_id, status, coalesce(reason, ''), events FROM sessions ORDER BY incarnation")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = result.Close() }()
	var rows []row
	for result.Next() {
		var it row
		if err := result.Scan(&it.id, &it.key, &it.agentID, &it.status, &it.reason, &it.events); err != nil {
			s.t.Fatal(err)
		}
		rows = append(rows, it)
	}
	return rows
}

// effect is a line of the log.
type effect struct {
	EventID     string  `json:"event_id"`
	Hook        string  `json:"hook"`
	LedgerID    string  `json:"ledger_id"`
	Incarnation uint64  `json:"incarnation"`
	SessionID   string  `json:"session_id"`
	SessionSeq  uint64  `json:"session_seq"`
	Changed     bool    `json:"changed"`
	Draining    bool    `json:"draining"`
	Pid         int     `json:"pid"`
	Drain       string  `json:"drain"`
	BootID      string  `json:"boot_id"`
	BudgetMs    int     `json:"budget_ms"`
	Swept       *uint64 `json:"swept"`
}

// effects returns what the log says so far.
func (s *sessionTable) effects() []effect {
	s.t.Helper()
	text, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	var effects []effect
	for line := range strings.Lines(string(text)) {
		var it effect
		if err := json.Unmarshal([]byte(line), &it); err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
		effects = append(effects, it)
	}
	return effects
}

// once fails where an effect was applied twice, and returns how many were.
func (s *sessionTable) once() int {
	s.t.Helper()
	changed := make(map[string]bool)
	for _, it := range s.effects() {
		if it.Changed && changed[it.EventID] {
			s.t.Errorf("%s %s was applied twice", it.Hook, it.EventID)
		}
		if it.Changed {
			changed[it.EventID] = true
		}
	}
	return len(changed)
}
