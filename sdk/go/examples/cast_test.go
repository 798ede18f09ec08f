package examples_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take: only a fault takes so long.
const patience = time.Minute

var (
	// hookwireBinary is the real dispatcher.
	hookwireBinary string
	// programs is where the examples are built.
	programs string
)

func TestMain(m *testing.M) {
	code, err := build(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func build(m *testing.M) (code int, err error) {
	named := os.Getenv("HOOKWIRE")
	if named == "" {
		named = "../../../target/release/hookwire"
	}
	if hookwireBinary, err = filepath.Abs(named); err != nil {
		return 0, err
	}
	if _, err := os.Stat(hookwireBinary); err != nil {
		return 0, fmt.Errorf("HOOKWIRE names no dispatcher: %w", err)
	}
	if programs, err = os.MkdirTemp("", "hookwire-examples"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(programs)) }()
	if out, err := exec.Command("go", "build", "-o", programs+"/", "./...").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// process is one of ours, which ends with the test.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout *bufio.Scanner
	stderr *lines
	waited chan struct{}
}

// lines is what a process has said so far.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func begin(t *testing.T, environment []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), stderr: &lines{}, waited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), environment...)
	p.cmd.Stderr = p.stderr
	reader, writer := io.Pipe()
	p.cmd.Stdout = writer
	p.stdout = bufio.NewScanner(reader)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.waited)
		_ = p.cmd.Wait() // its state says how it ended
		_ = writer.Close()
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		_ = reader.Close()
		<-p.waited
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(name), p.stderr)
		}
	})
	return p
}

// line returns the next line on stdout.
func (p *process) line() string {
	p.t.Helper()
	if !p.stdout.Scan() {
		p.t.Fatalf("%s has ended: %s", p.cmd.Path, p.stderr)
	}
	return p.stdout.Text()
}

func (p *process) signal(signal syscall.Signal) {
	_ = p.cmd.Process.Signal(signal) // it may have ended
}

// end sends a signal, waits, and returns the exit code.
func (p *process) end(signal syscall.Signal) int {
	p.t.Helper()
	p.signal(signal)
	return p.wait()
}

// wait returns the exit code, -1 where a signal has ended it.
func (p *process) wait() int {
	p.t.Helper()
	go func() {
		for p.stdout.Scan() { // what nobody reads would hold it up
		}
	}()
	select {
	case <-p.waited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s does not end: %s", p.cmd.Path, p.stderr)
		return 0
	}
}

// dispatcher is a real one.
type dispatcher struct {
	*process
	address string
}

// serve starts a dispatcher with a journal in directory, or without one where that is empty.
func serve(t *testing.T, listen, directory string) *dispatcher {
	t.Helper()
	args := []string{"serve", "--listen", listen, "--durability", "process"}
	if directory == "" {
		args = append(args, "--in-memory")
	} else {
		args = append(args, "--data-dir", directory)
	}
	p := begin(t, []string{"HOOKWIRE_LOG=warn"}, hookwireBinary, args...)
	var first struct {
		Listening []string `json:"listening"`
	}
	if err := json.Unmarshal([]byte(p.line()), &first); err != nil || len(first.Listening) == 0 {
		t.Fatalf("the dispatcher does not say where it listens: %v", err)
	}
	return &dispatcher{p, first.Listening[0]}
}

// command runs one of hookwire's own commands.
func (d *dispatcher) command(args ...string) string {
	d.t.Helper()
	cmd := exec.Command(hookwireBinary, args...)
	cmd.Env = append(os.Environ(), "HOOKWIRE_ADDR="+d.address)
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatalf("hookwire %s: %v: %s", args, err, out)
	}
	return string(out)
}

// subscriber is what `hookwire status` says of one.
type subscriber struct {
	ID        string `json:"id"`
	Connected bool   `json:"connected"`
	InFlight  int    `json:"in_flight"`
	Queued    int    `json:"queued"`
	Open      int    `json:"open"`
	Owed      int    `json:"owed"`
}

func (d *dispatcher) subscriber(id string) subscriber {
	d.t.Helper()
	var status struct {
		Subscribers []subscriber `json:"subscribers"`
	}
	if err := json.Unmarshal([]byte(d.command("status", "--json")), &status); err != nil {
		d.t.Fatal(err)
	}
	for _, subscriber := range status.Subscribers {
		if subscriber.ID == id {
			return subscriber
		}
	}
	return subscriber{}
}

// connected waits until a plugin is there.
func (d *dispatcher) connected(id string) {
	d.t.Helper()
	eventually(d.t, id+" is connected", func() bool { return d.subscriber(id).Connected })
}

// atRest waits until nothing is on its way to a plugin.
func (d *dispatcher) atRest(id string) {
	d.t.Helper()
	eventually(d.t, id+" is at rest", func() bool {
		it := d.subscriber(id)
		return it.Connected && it.InFlight == 0 && it.Queued == 0 && it.Owed == 0
	})
}
