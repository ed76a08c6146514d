package service_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/twinreel/twinreel/pkg/service"
)

// behaviour, set in a child's environment, makes the test binary the program that the test looks at.
const behaviour = "SERVICE_TEST_BEHAVIOUR"

// patience is how long a test waits for what should happen at once.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if b := os.Getenv(behaviour); b != "" {
		os.Exit(program(b))
	}
	goleak.VerifyTestMain(m)
}

// program is a Twinreel program that behaves as b says once it is to stop, or before.
func program(b string) int {
	var c struct {
		Service service.Config
		Must    string `env:"T_MUST" required:"true" meaning:"a setting of its own"`
	}
	return service.Main(service.Program{
		Name: "sample", About: "does nothing", Settings: &c, Service: &c.Service,
		Run: func(ctx context.Context, s *service.Service) error {
			if b == "fail" {
				return errors.New("the store at https://user:hunter2@store.example/x is gone")
			}
			s.Check("nats", true, func(context.Context) error {
				if b == "waits" {
					return errors.New("not connected")
				}
				return nil
			})
			s.Check("redis", false, func(context.Context) error { return errors.New("away") })
			<-ctx.Done()
			switch b {
			case "drains":
				<-s.Drain().Done()
				s.Log.Info("gave up what was in hand")
			case "overstays":
				select {}
			}
			return ctx.Err()
		},
	})
}

// process is a running program under test.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout strings.Builder
	lines  chan string
	mu     sync.Mutex
	seen   []string
}

// logLine is what tests look at in a log line.
type logLine struct{ Level, Msg, Admin, Error, Instance string }

func start(t *testing.T, b string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], args...), lines: make(chan string, 100)}
	p.cmd.Env = append([]string{behaviour + "=" + b}, env...)
	p.cmd.Stdout = &p.stdout
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.mu.Lock()
			p.seen = append(p.seen, s.Text())
			p.mu.Unlock()
			p.lines <- s.Text()
		}
	}()
	return p
}

// running starts a program with good settings, and returns it with its admin address.
func running(t *testing.T, b string, env ...string) (*process, string) {
	t.Helper()
	p := start(t, b, append([]string{"T_MUST=x", "TWINREEL_ADMIN_ADDR=127.0.0.1:0"}, env...))
	return p, "http://" + p.waitFor("started").Admin
}

// waitFor reads log lines until one has that message.
func (p *process) waitFor(msg string) logLine {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case text, ok := <-p.lines:
			var l logLine
			if !ok {
				p.t.Fatalf("the program ended without %q: %s", msg, p.stderr())
			}
			if json.Unmarshal([]byte(text), &l) == nil && l.Msg == msg {
				return l
			}
		case <-deadline:
			p.t.Fatalf("no log line %q in time: %s", msg, p.stderr())
		}
	}
}

func (p *process) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.seen, "\n")
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits for the end and returns code and stderr.
func (p *process) exit() (int, string) {
	p.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	for range p.lines { // until stderr is closed
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode(), p.stderr()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// eventually asks until the answer is of that code and has that part: a program's own checks come a moment after its
// first answers.
func eventually(t *testing.T, url string, code int, part string) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		got, body := get(t, url)
		if got == code && strings.Contains(body, part) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("got %d %s, want %d with %s", got, body, code, part)
		case <-tick.C:
		}
	}
}

func TestBadSettingsEndAProgramWithCode2AndOneLineAProblem(t *testing.T) {
	p := start(t, "obeys", []string{"TWINREEL_ADMIN_ADDR=nowhere", "TWINREEL_LOG_LEVEL=loud", "TWINREEL_DRAIN_TIMEOUT=0s"})
	code, stderr := p.exit()
	want := "TWINREEL_ADMIN_ADDR: want host:port or :port, such as :8080 or 127.0.0.1:8080\nTWINREEL_DRAIN_TIMEOUT: want more than 0\n" +
		"TWINREEL_LOG_LEVEL: want debug, info, warn or error\nT_MUST: is required: a setting of its own"
	if code != service.ExitUsage || stderr != want {
		t.Errorf("got code %d and\n%s\nwant\n%s", code, stderr, want)
	}
}

func TestWrongFlagsEndAProgramWithCode2(t *testing.T) {
	for _, args := range [][]string{{"--bogus"}, {"extra"}, {"--settings", "-o", "yaml"}} {
		p := start(t, "obeys", nil, args...)
		if code, stderr := p.exit(); code != service.ExitUsage || !strings.Contains(stderr, "See sample --help.") || strings.Contains(stderr, "goroutine") {
			t.Errorf("%q: got %d %s", args, code, stderr)
		}
	}
}

func TestFlagsAreAnsweredWithoutSettings(t *testing.T) {
	for flag, want := range map[string]string{
		"--version": "sample ", "--help": "Examples:", "-h": "Usage:", "--settings": "| TWINREEL_DRAIN_TIMEOUT | 25s ",
	} {
		p := start(t, "obeys", nil, flag)
		if code, stderr := p.exit(); code != 0 || stderr != "" || !strings.Contains(p.stdout.String(), want) {
			t.Errorf("%s: got %d %q %q", flag, code, stderr, p.stdout.String())
		}
	}
	p := start(t, "obeys", nil, "--settings", "-o", "json")
	var list []map[string]any
	if code, _ := p.exit(); code != 0 || json.Unmarshal([]byte(p.stdout.String()), &list) != nil || len(list) != 5 {
		t.Errorf("got %d %s", code, p.stdout.String())
	}
}

func TestBothSignalsStopAProgramWithCode0(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p, _ := running(t, "obeys")
		p.signal(sig)
		if code, stderr := p.exit(); code != service.ExitOK || !strings.Contains(stderr, `"msg":"ended"`) {
			t.Errorf("%v: got %d\n%s", sig, code, stderr)
		}
	}
}

func TestDrainEndsAfterItsTimeout(t *testing.T) {
	p, _ := running(t, "drains", "TWINREEL_DRAIN_TIMEOUT=300ms")
	asked := time.Now()
	p.signal(syscall.SIGTERM)
	p.waitFor("gave up what was in hand")
	if took := time.Since(asked); took < 300*time.Millisecond {
		t.Errorf("drain ended after %v, before its time", took)
	}
	if code, stderr := p.exit(); code != service.ExitOK {
		t.Errorf("got %d\n%s", code, stderr)
	}
}

func TestAStoppingProgramIsNotReadyButStillServesHealth(t *testing.T) {
	p, url := running(t, "drains", "TWINREEL_DRAIN_TIMEOUT=15s")
	eventually(t, url+"/readyz", 200, `"ready":true`)
	p.signal(syscall.SIGTERM)
	p.waitFor("stopping")
	if code, body := get(t, url+"/readyz"); code != 503 || !strings.Contains(body, `{"name":"running","ok":false,"decides":true,"detail":"stopping"}`) {
		t.Errorf("while stopping: %d %s", code, body)
	}
	p.signal(syscall.SIGTERM)
	if code, stderr := p.exit(); code != service.ExitFailed || !strings.Contains(stderr, "second signal") {
		t.Errorf("a second signal: got %d\n%s", code, stderr)
	}
}

func TestAProgramThatOverstaysIsEndedWithCode1(t *testing.T) {
	p, _ := running(t, "overstays", "TWINREEL_DRAIN_TIMEOUT=100ms")
	p.signal(syscall.SIGTERM)
	if code, stderr := p.exit(); code != service.ExitFailed || !strings.Contains(stderr, "still not stopped 2.1s after the signal") {
		t.Errorf("got %d\n%s", code, stderr)
	}
}

func TestAFailureIsOneLineWithoutURLAndCode1(t *testing.T) {
	p, _ := running(t, "fail")
	code, stderr := p.exit()
	if code != service.ExitFailed || strings.Contains(stderr, "hunter2") || strings.Contains(stderr, "goroutine") ||
		!strings.Contains(stderr, `"error":"the store at <store.example> is gone"`) {
		t.Errorf("got %d\n%s", code, stderr)
	}
}

func TestAnAdminAddressInUseIsSaid(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	p := start(t, "obeys", []string{"T_MUST=x", "TWINREEL_ADMIN_ADDR=" + l.Addr().String()})
	if code, stderr := p.exit(); code != service.ExitFailed || !strings.Contains(stderr, "(TWINREEL_ADMIN_ADDR): the address is in use") {
		t.Errorf("got %d\n%s", code, stderr)
	}
}

func TestAProgramThatWaitsSaysForWhatInReadyzAndLog(t *testing.T) {
	p, url := running(t, "waits")
	want := `{"ready":false,"checks":[{"name":"nats","ok":false,"decides":true,"detail":"not connected"},{"name":"redis","ok":false,"decides":false,"detail":"away"}]}`
	eventually(t, url+"/readyz", 503, want+"\n")
	for !strings.Contains(p.stderr(), `"waiting_for":["nats: not connected"]`) {
		p.waitFor("not ready")
	}
	if code, body := get(t, url+"/livez"); code != 200 {
		t.Errorf("livez: %d %s", code, body)
	}
}

func TestMetricsAreServed(t *testing.T) {
	_, url := running(t, "obeys")
	if code, body := get(t, url+"/metrics"); code != 200 || !strings.Contains(body, `twinreel_build_info{program="sample",version=`) {
		t.Errorf("got %d %.200s", code, body)
	}
}

func TestInstancesOfOneHostDiffer(t *testing.T) {
	a := start(t, "obeys", []string{"T_MUST=x", "TWINREEL_ADMIN_ADDR=127.0.0.1:0"})
	b := start(t, "obeys", []string{"T_MUST=x", "TWINREEL_ADMIN_ADDR=127.0.0.1:0"})
	x, y := a.waitFor("started").Instance, b.waitFor("started").Instance
	if x == y || x == "" || strings.ContainsAny(x, ". *>") {
		t.Errorf("got %q and %q", x, y)
	}
}
