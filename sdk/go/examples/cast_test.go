package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "modernc.org/sqlite"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
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

// gateway is one of our own, on one stream.
type gateway struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[hookwirev1.AttachRequest, hookwirev1.AttachResponse]
	id     string
	seq    uint64
	taken  uint64
}

// attach attaches a gateway, which goes away without a word at the end of the test.
func (d *dispatcher) attach(id string) *gateway {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	target := d.address
	if !strings.HasPrefix(target, "unix:") {
		target = "passthrough:///" + target
	}
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority("localhost"))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		cancel()
		_ = connection.Close()
	})
	stream, err := hookwirev1.NewGatewayServiceClient(connection).Attach(ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	g := &gateway{t: d.t, stream: stream, id: id}
	g.send(&hookwirev1.AttachRequest{Message: &hookwirev1.AttachRequest_Hello_{Hello: &hookwirev1.AttachRequest_Hello{
		GatewayId: id, BootId: id + "-boot", EmitterId: id + "-emitter",
	}}})
	welcome := g.receive().GetWelcome()
	if welcome == nil {
		d.t.Fatal("no Welcome")
	}
	g.seq, g.taken = welcome.GetResumeAfter(), welcome.GetResumeAfter()
	return g
}

func (g *gateway) send(request *hookwirev1.AttachRequest) {
	g.t.Helper()
	if err := g.stream.Send(request); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) receive() *hookwirev1.AttachResponse {
	g.t.Helper()
	response, err := g.stream.Recv()
	if err != nil {
		g.t.Fatal(err)
	}
	return response
}

// publish sends events, and waits until they are taken in.
func (g *gateway) publish(events ...*hookwirev1.GatewayEvent) {
	g.t.Helper()
	g.send(&hookwirev1.AttachRequest{Message: &hookwirev1.AttachRequest_Publish{
		Publish: &hookwirev1.Publish{FirstPublishSeq: g.seq + 1, Events: events},
	}})
	g.seq += uint64(len(events))
	for g.taken < g.seq {
		receipt := g.receive().GetReceipt()
		if refused := receipt.GetRefused(); len(refused) > 0 {
			g.t.Fatalf("refused: %v", refused)
		}
		g.taken = max(g.taken, receipt.GetThroughPublishSeq())
	}
}

func start(session string) *hookwirev1.GatewayEvent {
	return &hookwirev1.GatewayEvent{Hook: "session_start", Session: &hookwirev1.SessionRef{Id: &session, Key: "key:" + session, AgentId: "main"}}
}

func message(session string) *hookwirev1.GatewayEvent {
	return &hookwirev1.GatewayEvent{
		Hook:    "message_received",
		Session: &hookwirev1.SessionRef{Id: &session},
		Payload: &hookwirev1.GatewayEvent_Json{Json: []byte(`{"text":"hello"}`)},
	}
}

func end(session string, reason hookwirev1.SessionEndReason) *hookwirev1.GatewayEvent {
	return &hookwirev1.GatewayEvent{
		Hook:    "session_end",
		Session: &hookwirev1.SessionRef{Id: &session},
		Payload: &hookwirev1.GatewayEvent_SessionEnd{SessionEnd: &hookwirev1.SessionEnd{Reason: reason}},
	}
}

const (
	reset   = hookwirev1.SessionEndReason_SESSION_END_REASON_RESET
	deleted = hookwirev1.SessionEndReason_SESSION_END_REASON_DELETED
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
