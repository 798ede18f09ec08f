// Package sqlitestore is a hookwire.Store in SQLite: what was answered is still known behind a crash.
package sqlitestore

import (
	"context"
	"database/sql"
	"errors"

	_ "modernc.org/sqlite"

	hookwire "github.com/hookwire/hookwire/sdk/go"
)

const schema = `CREATE TABLE IF NOT EXISTS answers (
	event_id TEXT PRIMARY KEY, status INTEGER, code TEXT, ledger_id TEXT, stream_epoch INTEGER) STRICT, WITHOUT ROWID`

// Store implements [hookwire.Store].
type Store struct {
	db *sql.DB
}

// Open opens the file, or makes it.
func Open(path string) (*Store, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer; who waits for it waits here
	if _, err := db.Exec(schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Store{db}, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Get implements [hookwire.Store].
func (s *Store) Get(ctx context.Context, eventID string) (answer hookwire.Answer, found bool, err error) {
	row := s.db.QueryRowContext(ctx, "SELECT status, code FROM answers WHERE event_id = ?", eventID)
	err = row.Scan(&answer.Status, &answer.Code)
	if errors.Is(err, sql.ErrNoRows) {
		return hookwire.Answer{}, false, nil
	}
	return answer, err == nil, err
}

// Put implements [hookwire.Store].
func (s *Store) Put(ctx context.Context, eventID string, answer hookwire.Answer, ledgerID string, streamEpoch uint64) error {
	_, err := s.db.ExecContext(ctx, "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)",
		eventID, answer.Status, answer.Code, ledgerID, int64(streamEpoch))
	return err
}

// Forget implements [hookwire.Store].
func (s *Store) Forget(ctx context.Context, ledgerID string, streamEpoch uint64) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM answers WHERE ledger_id <> ? OR stream_epoch < ?", ledgerID, int64(streamEpoch))
	return err
}
