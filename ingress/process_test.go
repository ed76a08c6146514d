package main_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// patience is how long a test waits for what should happen soon.
const patience = 20 * time.Second

// webhookSecret signs what tests send.
const webhookSecret = "s3cret"

// until waits for a condition.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

// ingress is the real program as a process.
type ingress struct {
	t          *testing.T
	cmd        *exec.Cmd
	ended      chan struct{} // closed when its stderr is
	mu         sync.Mutex
	stderr     strings.Builder
	url, admin string // of webhooks; of health and metrics
}

// launch starts the program with these variables and no others.
func launch(t *testing.T, env ...string) *ingress {
	t.Helper()
	p := &ingress{t: t, cmd: exec.Command(filepath.Join(testenv.Need(t, testenv.Bin), "ingress")), ended: make(chan struct{})}
	p.cmd.Env = env
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		_ = p.cmd.Wait()
		if t.Failed() {
			t.Logf("ingress said:\n%s", p.log())
		}
	})
	go func() {
		defer close(p.ended)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.heard(s.Bytes())
		}
	}()
	return p
}

// heard keeps a log line, and the addresses that it may tell.
func (p *ingress) heard(line []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stderr.Write(line)
	p.stderr.WriteByte('\n')
	var l struct {
		Msg, Admin, Addr string
		TLS              bool
	}
	if json.Unmarshal(line, &l) != nil {
		return
	}
	switch {
	case l.Msg == "started":
		p.admin = "http://" + l.Admin
	case l.Msg == "listening for webhooks" && l.TLS:
		p.url = "https://" + l.Addr
	case l.Msg == "listening for webhooks":
		p.url = "http://" + l.Addr
	}
}

func (p *ingress) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// run starts the program on NATS at natsURL as account, and waits until it listens.
func run(t *testing.T, natsURL, account string, env ...string) *ingress {
	t.Helper()
	p := launch(t, append([]string{
		"TWINREEL_NATS_URL=" + natsURL, "TWINREEL_NATS_USER=" + account, "TWINREEL_NATS_PASSWORD=" + testenv.NATSPassword,
		"TWINREEL_ADMIN_ADDR=127.0.0.1:0", "TWINREEL_LISTEN_ADDR=127.0.0.1:0", "TWINREEL_WEBHOOK_SECRET=" + webhookSecret,
	}, env...)...)
	until(t, "ingress listens", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.url != "" && p.admin != ""
	})
	return p
}

// ready waits until /readyz says so.
func (p *ingress) ready() *ingress {
	p.t.Helper()
	until(p.t, "ingress is ready", func() bool { code, _ := p.get("/readyz"); return code == http.StatusOK })
	return p
}

// get asks the admin address.
func (p *ingress) get(path string) (int, string) {
	p.t.Helper()
	return p.ask(p.admin + path)
}

// health asks the address of webhooks, as a load balancer does.
func (p *ingress) health() (int, string) {
	p.t.Helper()
	code, body := p.ask(p.url + "/readyz")
	return code, strings.TrimSpace(body)
}

func (p *ingress) ask(address string) (int, string) {
	p.t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// exit waits for the program's end and returns its code and what it said.
func (p *ingress) exit() (int, string) {
	p.t.Helper()
	kill := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	<-p.ended
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode(), p.log()
}

// stop sends SIGTERM and expects exit code 0.
func (p *ingress) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if code, said := p.exit(); code != 0 {
		p.t.Errorf("stopped with code %d:\n%s", code, said)
	}
}

// answer is what ingress answered.
type answer struct {
	status int
	header http.Header
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Key    string `json:"idempotencyKey"`
}

// send posts a body with headers in pairs.
func (p *ingress) send(method, path string, body []byte, pairs ...string) answer {
	p.t.Helper()
	a, err := p.try(http.DefaultClient, method, path, body, pairs...)
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

// try is send for any goroutine and client.
func (p *ingress) try(c *http.Client, method, path string, body []byte, pairs ...string) (answer, error) {
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil && method != http.MethodHead {
		return answer{}, err
	}
	return a, nil
}

const defaultPath = "/api/v1/webhooks/recording-complete"

// webhook posts a signed webhook to the default source.
func (p *ingress) webhook(body string) answer {
	p.t.Helper()
	return p.send(http.MethodPost, defaultPath, []byte(body), signed(webhookSecret, body)...)
}

// signed returns the headers of a hub-sha256 webhook.
func signed(secret, body string) []string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(body))
	return []string{"Content-Type", "application/json", "X-Hub-Signature-256", "sha256=" + hex.EncodeToString(m.Sum(nil))}
}

// body returns a webhook; more are further fields, each with a comma before it.
func body(recordingID, more string) string {
	return `{"event":"RECORDING_COMPLETED","recordingId":"` + recordingID + `","mediaFormat":"mp4","duration":183.4,` +
		`"participants":[{"id":"p1","role":"agent","name":"Ada"}],"mediaUrl":"https://cdn.example.com/m/1?signature=a%26b&x=<y>"` + more + `}`
}

// provisioned returns an empty account's JetStream with all streams.
func provisioned(t *testing.T, account string) jetstream.JetStream {
	t.Helper()
	_, js := testenv.Account(t, account)
	provision(t, js, 64<<20)
	return js
}

// provision makes all streams; RECORDINGS holds so many bytes.
func provision(t *testing.T, js jetstream.JetStream, recordings settings.Bytes) {
	t.Helper()
	sizes := queue.Sizes{Recordings: recordings, Letters: 1 << 20, Audit: 1 << 20, MaxAge: time.Hour}
	if _, err := queue.Provision(t.Context(), js, sizes, 1); err != nil {
		t.Fatal(err)
	}
}

// stored returns the number of messages in RECORDINGS.
func stored(t *testing.T, js jetstream.JetStream) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), queue.Recordings)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
