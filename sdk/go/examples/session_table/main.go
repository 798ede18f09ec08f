// Keeps a table of sessions in SQLite, active until ended: session_table FILE.
//
// A row is keyed on (ledger_id, incarnation), so that an event that comes twice changes nothing: that alone makes it right, and the
// SDK's own memory only spares it work. HOOKWIRE_SUBSCRIBER names the plugin where a dispatcher has more than one.
package main

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"

	_ "modernc.org/sqlite"

	hookwire "github.com/hookwire/hookwire/sdk/go"
)

const schema = `CREATE TABLE IF NOT EXISTS sessions (
	ledger_id TEXT, incarnation INTEGER, id TEXT, key TEXT, agent_id TEXT, status TEXT, reason TEXT,
	events INTEGER, last_seq INTEGER, PRIMARY KEY (ledger_id, incarnation)) STRICT`

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: session_table FILE")
		os.Exit(64)
	}
	table, err := open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer table.close()
	name := cmp.Or(os.Getenv("HOOKWIRE_SUBSCRIBER"), "session-table")
	plugin := hookwire.New(name, hookwire.WithAnnounce())
	plugin.On("*", table.handle)
	plugin.OnDrain(table.drain)
	plugin.OnSweep(table.sweep)
	plugin.Main()
}

// table is the sessions, and the log that says what was done to them.
type table struct {
	db  *sql.DB
	log *effects
}

func open(path string) (*table, error) {
	// What is committed survives this process's crash: NORMAL leaves out only the sync that a power failure would need.
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer; who waits for it waits here
	if _, err := db.Exec(schema); err != nil {
		return nil, err
	}
	log, err := openEffects(os.Getenv("HOOKWIRE_VERIFY_LOG"))
	if err != nil {
		return nil, err
	}
	return &table{db, log}, nil
}

func (t *table) close() {
	if err := t.db.Close(); err != nil {
		log.Print(err)
	}
}

// handle applies an event in one statement, which is one transaction.
func (t *table) handle(ctx context.Context, event *hookwire.Event) error {
	changed, err := t.apply(ctx, event)
	if err != nil {
		return err
	}
	return t.log.handled(event, changed)
}

// apply reports whether the event changed a row. A row that exists stays as it is, ended or not; what has no row changes
// nothing and is not remembered.
func (t *table) apply(ctx context.Context, event *hookwire.Event) (changed bool, err error) {
	session, ledger := event.Session, event.LedgerID
	switch {
	case session == nil || session.Incarnation == 0:
		return false, nil
	case event.SessionStart != nil:
		return t.exec(ctx, "INSERT OR IGNORE INTO sessions VALUES (?, ?, ?, ?, ?, 'active', NULL, 0, 0)",
			ledger, session.Incarnation, session.ID, session.Key, session.AgentID)
	case event.SessionEnd != nil:
		return t.end(ctx, ledger, session.Incarnation, event.SessionEnd.GetReason().String())
	default:
		return t.exec(ctx, `UPDATE sessions SET events = events + 1, last_seq = ?
			WHERE ledger_id = ? AND incarnation = ? AND last_seq < ?`,
			event.SessionSeq, ledger, session.Incarnation, event.SessionSeq)
	}
}

func (t *table) end(ctx context.Context, ledger string, incarnation uint64, reason string) (changed bool, err error) {
	return t.exec(ctx, `UPDATE sessions SET status = 'ended', reason = ?
		WHERE ledger_id = ? AND incarnation = ? AND status = 'active'`, reason, ledger, incarnation)
}

func (t *table) exec(ctx context.Context, statement string, values ...any) (changed bool, err error) {
	result, err := t.db.ExecContext(ctx, statement, values...)
	if err != nil {
		return false, err
	}
	rows, err := result.RowsAffected()
	return rows > 0, err
}

func (t *table) drain(_ context.Context, notice *hookwire.DrainNotice) error {
	return t.log.drain(notice)
}

// sweep closes what is active and owed no end: it would stay so for ever, since its dispatcher has lost its ledger.
func (t *table) sweep(ctx context.Context, sweep *hookwire.Sweep) error {
	ghosts, err := t.ghosts(ctx, sweep)
	if err != nil {
		return err
	}
	for _, ghost := range ghosts {
		if _, err := t.end(ctx, ghost.ledger, ghost.incarnation, "SWEPT"); err != nil {
			return err
		}
		if err := t.log.swept(ghost); err != nil {
			return err
		}
	}
	return nil
}

// life is what a row is keyed on.
type life struct {
	ledger      string
	incarnation uint64
}

func (t *table) ghosts(ctx context.Context, sweep *hookwire.Sweep) ([]life, error) {
	rows, err := t.db.QueryContext(ctx, "SELECT ledger_id, incarnation FROM sessions WHERE status = 'active'")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err says what there is to say
	var ghosts []life
	for rows.Next() {
		var row life
		if err := rows.Scan(&row.ledger, &row.incarnation); err != nil {
			return nil, err
		}
		if !sweep.IsOwed(row.ledger, row.incarnation) {
			ghosts = append(ghosts, row)
		}
	}
	return ghosts, rows.Err()
}
