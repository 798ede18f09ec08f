package examples_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

func TestHelloPrintsEveryLife(t *testing.T) {
	dispatcher := serve(t, "127.0.0.1:0", "")
	hello := begin(t, []string{"HOOKWIRE_ADDR=" + dispatcher.address}, filepath.Join(programs, "hello"))
	dispatcher.connected("hello")
	gateway := dispatcher.attach("gateway")
	gateway.publish(start("s"), message("s"), end("s", reset), start("s"), end("s", deleted))
	for _, want := range []string{"session_start s 1", "session_end s 1", "session_start s 2", "session_end s 2"} {
		if got := hello.line(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if code := hello.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestHelloIsShort(t *testing.T) {
	source, err := os.ReadFile("hello/main.go")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for line := range strings.Lines(string(source)) {
		if strings.TrimSpace(line) != "" {
			count++
		}
	}
	if count > 15 {
		t.Errorf("%d lines", count)
	}
}

func TestTheSessionTable(t *testing.T) {
	for name, listen := range map[string]func(t *testing.T) string{
		"over TCP":           func(*testing.T) string { return "127.0.0.1:0" },
		"over a Unix socket": func(t *testing.T) string { return "unix:" + filepath.Join(t.TempDir(), "socket") },
	} {
		t.Run(name, func(t *testing.T) {
			dispatcher := serve(t, listen(t), "")
			table := dispatcher.sessionTableIn(t.TempDir())
			dispatcher.connected("table")
			gateway := dispatcher.attach("gateway")
			gateway.publish(start("s"), message("s"), message("s"), end("s", reset), start("s"), message("s"), start("other"))
			dispatcher.atRest("table")
			want := []row{
				{"s", "key:s", "main", "ended", "SESSION_END_REASON_RESET", 2},
				{"s", "key:s", "main", "active", "", 1},
				{"other", "key:other", "main", "active", "", 0},
			}
			if got := table.rows(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
			if code := table.end(syscall.SIGINT); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func TestADrain(t *testing.T) {
	dispatcher := serve(t, "127.0.0.1:0", "")
	table := dispatcher.sessionTableIn(t.TempDir())
	dispatcher.connected("table")
	dispatcher.attach("gateway").publish(start("a"), start("b"), message("a"))
	dispatcher.atRest("table")
	var report struct {
		Subscribers []struct {
			Owed, Acked int
		}
	}
	out := dispatcher.command("drain", "--gateway", "gateway", "--reason", "restart", "--budget", "30s", "--json")
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	if it := report.Subscribers[0]; it.Owed != 2 || it.Acked != 2 {
		t.Errorf("the report: %s", out)
	}
	notices, draining := 0, 0
	for _, effect := range table.effects() {
		if effect.Drain == "gateway" && effect.BootID == "gateway-boot" && effect.BudgetMs > 0 {
			notices++
		}
		if effect.Draining != (effect.Hook == "session_end" || effect.Hook == "gateway_stop") {
			t.Errorf("draining is wrong: %+v", effect)
		}
		if effect.Draining {
			draining++
		}
	}
	if notices != 1 || draining < 2 {
		t.Errorf("%d notices, %d events were handled in the drain", notices, draining)
	}
	for _, row := range table.rows() {
		if row.status != "ended" || row.reason != "SESSION_END_REASON_RESTART" {
			t.Errorf("left as %v", row)
		}
	}
}

func TestSlowWorkIsFinishedByTheNextProcess(t *testing.T) {
	dispatcher := serve(t, "127.0.0.1:0", "")
	file := filepath.Join(t.TempDir(), "jobs.db")
	begun := func() *process {
		return begin(t, []string{"HOOKWIRE_ADDR=" + dispatcher.address}, filepath.Join(programs, "slow_work"), file)
	}
	first := begun()
	dispatcher.connected("slow-work")
	gateway := dispatcher.attach("gateway")
	sessions := []string{"a", "b", "c", "d"}
	for _, session := range sessions {
		gateway.publish(start(session), end(session, deleted))
	}
	dispatcher.atRest("slow-work") // long before the work is done
	var status struct {
		Counters map[string]int `json:"counters"`
	}
	if err := json.Unmarshal([]byte(dispatcher.command("status", "--json")), &status); err != nil {
		t.Fatal(err)
	}
	if accepted := status.Counters["acks_accepted"]; accepted != len(sessions) {
		t.Errorf("%d accepted: %v", accepted, status.Counters)
	}
	finished := map[string]bool{first.line(): true}
	first.end(syscall.SIGKILL)
	second := begun()
	for len(finished) < len(sessions) {
		finished[second.line()] = true
	}
	if code := second.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestRememberingKeepsWhatItAnswered(t *testing.T) {
	dispatcher := serve(t, "127.0.0.1:0", "")
	plugin := func() *process {
		p := begin(t, []string{"HOOKWIRE_ADDR=" + dispatcher.address}, filepath.Join(programs, "remembering"))
		dispatcher.connected("remembering")
		return p
	}
	t.Chdir(t.TempDir())
	first := plugin()
	dispatcher.attach("gateway").publish(start("s"), end("s", hookwirev1.SessionEndReason_SESSION_END_REASON_IDLE))
	if got := first.line(); got != "a mail about s 1" {
		t.Errorf("got %q", got)
	}
	dispatcher.atRest("remembering")
	if code := first.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat("answers.db"); err != nil {
		t.Error(err)
	}
}
