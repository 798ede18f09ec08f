// Takes on work that takes longer than a gateway waits: slow_work FILE.
//
// For each session that ends, a job goes into a table, and ACCEPTED to the dispatcher: from there on the job is this plugin's. A
// worker goes through the table, also when the process was away meanwhile.
package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	_ "modernc.org/sqlite"

	hookwire "github.com/hookwire/hookwire/sdk/go"
)

const schema = `CREATE TABLE IF NOT EXISTS jobs (
	event_id TEXT PRIMARY KEY, session_id TEXT, done INTEGER NOT NULL DEFAULT FALSE) STRICT`

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: slow_work FILE")
		os.Exit(64)
	}
	jobs, err := open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	go jobs.work()
	plugin := hookwire.New(cmp.Or(os.Getenv("HOOKWIRE_SUBSCRIBER"), "slow-work"))
	plugin.On("session_end", jobs.accept)
	plugin.Main() // what the worker has not done is done by the next process
}

// jobs is a table of what is to be done.
type jobs struct {
	db *sql.DB
	// accepted wakes the worker: there is more.
	accepted chan struct{}
}

func open(path string) (*jobs, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer; who waits for it waits here
	_, err = db.Exec(schema)
	return &jobs{db, make(chan struct{}, 1)}, err
}

// accept takes a job on. The event's id is its key: an event that comes twice is one job.
func (j *jobs) accept(ctx context.Context, event *hookwire.Event) error {
	_, err := j.db.ExecContext(ctx, "INSERT OR IGNORE INTO jobs (event_id, session_id) VALUES (?, ?)", event.ID, event.Session.ID)
	if err != nil {
		return err
	}
	select {
	case j.accepted <- struct{}{}:
	default: // it is awake
	}
	return hookwire.Accepted
}

// work does what is to be done, and waits for more.
func (j *jobs) work() {
	for {
		switch err := j.next(); {
		case errors.Is(err, sql.ErrNoRows):
			<-j.accepted
		case err != nil:
			log.Print(err)
			time.Sleep(time.Second) // whatever it is, it may pass
		}
	}
}

// next does one job, or returns sql.ErrNoRows. A crash before its last line does the job again.
func (j *jobs) next() error {
	var eventID, sessionID string
	row := j.db.QueryRow("SELECT event_id, session_id FROM jobs WHERE NOT done LIMIT 1")
	if err := row.Scan(&eventID, &sessionID); err != nil {
		return err
	}
	time.Sleep(100 * time.Millisecond) // stands for the work
	fmt.Println("finished", sessionID)
	_, err := j.db.Exec("UPDATE jobs SET done = TRUE WHERE event_id = ?", eventID)
	return err
}
