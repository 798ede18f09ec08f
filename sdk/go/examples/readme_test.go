package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

const readme = "../README.md"

// block is a block of code in the README: its language, the example that it is, and its text.
type block struct {
	language, example, text string
}

func blocks(t *testing.T) []block {
	t.Helper()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	for _, match := range regexp.MustCompile("(?ms)^```(\\w+) ?(\\S*)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, block{match[1], match[2], match[3]})
	}
	return blocks
}

func TestTheReadmesCodeIsTheExamples(t *testing.T) {
	count := 0
	for _, block := range blocks(t) {
		if block.language != "go" {
			continue
		}
		count++
		source, err := os.ReadFile(block.example)
		if err != nil || string(source) != block.text {
			t.Errorf("%s is not what the README shows: %v", block.example, err)
		}
	}
	if count == 0 {
		t.Error("there is none")
	}
}

func TestTheReadmesLinksLeadSomewhere(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join("..", match[1])); err != nil {
			t.Error(err)
		}
	}
}

// A reader's ten minutes, command by command: the three terminals are one shell here, in which what does not end goes to
// the background.
func TestTheReadmesCommands(t *testing.T) {
	checkout, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	socket := "unix:" + filepath.Join(directory, "socket")
	environment := append(os.Environ(), "CHECKOUT="+checkout, "HOOKWIRE_LISTEN="+socket, "HOOKWIRE_ADDR="+socket,
		"PATH="+filepath.Dir(hookwireBinary)+":"+os.Getenv("PATH"))
	var plugin *process
	for _, block := range blocks(t) {
		if block.language == "go" && block.example == "hello/main.go" {
			write(t, filepath.Join(directory, "main.go"), block.text)
		}
		if block.language != "sh" {
			continue
		}
		for command := range strings.Lines(block.text) {
			switch command = strings.TrimSpace(command); command {
			case "hookwire serve --in-memory":
				begin(t, environment, "bash", "-c", "exec "+command).line()
			case "./hello":
				plugin = begin(t, environment, filepath.Join(directory, "hello"))
				eventually(t, "the plugin is welcome", func() bool {
					return strings.Contains(plugin.stderr.String(), "welcome")
				})
			case "mkdir hello && cd hello": // done
			default:
				shell(t, directory, environment, command)
			}
		}
	}
	if got := plugin.line(); !strings.HasPrefix(got, "session_start ") {
		t.Errorf("the first line is %q", got)
	}
	if code := plugin.end(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func shell(t *testing.T, directory string, environment []string, command string) {
	t.Helper()
	cmd := exec.Command("bash", "-c", command)
	cmd.Dir, cmd.Env = directory, environment
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
