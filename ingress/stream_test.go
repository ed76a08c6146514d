package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
)

func TestThePublishedMessageIsTheContractsEvent(t *testing.T) {
	js := provisioned(t, "test16")
	p := run(t, testenv.Need(t, testenv.NATSURL), "test16").ready()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	sent := body("rec-1", `,"eventId":"ev-1","size":123,"sha256":"`+strings.Repeat("AB", 32)+`","tags":{"queue":"billing"},"completedAt":"2026-11-23T12:00:00+02:00","new":1`)
	began := time.Now()
	if a := p.send(http.MethodPost, defaultPath, []byte(sent), append(signed(webhookSecret, sent), "traceparent", trace)...); a.Code != "accepted" || a.Key != "rec-1" {
		t.Fatalf("got %+v", a)
	}
	s, err := js.Stream(t.Context(), queue.Recordings)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := s.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if msg.Subject != "recordings.completed.both" {
		t.Errorf("subject %s", msg.Subject)
	}
	var times struct {
		ID   string
		Time time.Time
		Data struct{ ReceivedAt time.Time }
	}
	if err := json.Unmarshal(msg.Data, &times); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"Content-Type": "application/cloudevents+json", "traceparent": trace, "Nats-Msg-Id": times.ID} {
		if got := msg.Header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("header %s: got %q, want %q", name, got, want)
		}
	}
	if times.Time.Before(began.Add(-time.Second)) || time.Since(times.Time) < 0 || !times.Time.Equal(times.Data.ReceivedAt) {
		t.Errorf("time %v, received at %v", times.Time, times.Data.ReceivedAt)
	}
	stamp := regexp.MustCompile(`"(time|receivedAt)":"[0-9T:.-]+Z"`)
	if got := stamp.ReplaceAllString(string(msg.Data), `"$1":"NOW"`); got != wantEvent(times.ID) {
		t.Errorf("got\n%s\nwant\n%s", got, wantEvent(times.ID))
	}
}

// wantEvent is the event, byte for byte, of the webhook above.
func wantEvent(id string) string {
	return `{"specversion":"1.0","id":"` + id + `","source":"/twinreel/sources/default","type":"com.twinreel.recording.completed.v1","subject":"rec-1",` +
		`"time":"NOW","datacontenttype":"application/json","data":{"recordingId":"rec-1","source":"default","idempotencyKey":"rec-1",` +
		`"objectKey":"recordings/rec-1.mp4","media":{"url":"https://cdn.example.com/m/1?signature=a%26b\u0026x=\u003cy\u003e","format":"mp4",` +
		`"contentType":"audio/mp4","size":123,"sha256":"` + strings.Repeat("ab", 32) + `"},"durationSeconds":183.4,` +
		`"participants":[{"id":"p1","name":"Ada","role":"agent"}],"tags":{"queue":"billing"},"completedAt":"2026-11-23T10:00:00Z","receivedAt":"NOW"}}`
}

func TestDuplicatesAreKnownBySourceRecordingAndEvent(t *testing.T) {
	js := provisioned(t, "test16")
	p := run(t, testenv.Need(t, testenv.NATSURL), "test16").ready()
	for i, c := range []struct{ body, code string }{
		{body("rec-1", `,"eventId":"a"`), "accepted"},
		{body("rec-1", `,"eventId":"a","duration2":1`), "duplicate"},
		{body("rec-1", `,"eventId":"b"`), "accepted"},
		{body("rec-2", `,"eventId":"a"`), "accepted"},
		{body("rec-3", ""), "accepted"},
		{body("rec-3", ""), "duplicate"},
		{body("rec-3", `,"size":1`), "accepted"}, // no event ID, other bytes: not the same webhook
	} {
		if a := p.webhook(c.body); a.status != 200 || a.Code != c.code {
			t.Errorf("webhook %d: got %d %s, want %s", i, a.status, a.Code, c.code)
		}
	}
	if n := stored(t, js); n != 5 {
		t.Errorf("%d messages", n)
	}
}

func TestParallelDuplicatesAreAcceptedOnce(t *testing.T) {
	js := provisioned(t, "test17")
	p := run(t, testenv.Need(t, testenv.NATSURL), "test17").ready()
	for round := range 10 {
		sent := body(fmt.Sprintf("rec-%d", round), `,"eventId":"a"`)
		var mu sync.Mutex
		codes := map[string]int{}
		var senders sync.WaitGroup
		for range 5 {
			senders.Go(func() {
				a, err := p.try(http.DefaultClient, http.MethodPost, defaultPath, []byte(sent), signed(webhookSecret, sent)...)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					codes[err.Error()]++
				}
				codes[a.Code]++
			})
		}
		senders.Wait()
		if codes["accepted"] != 1 || codes["duplicate"] != 4 {
			t.Errorf("round %d: got %v", round, codes)
		}
	}
	if n := stored(t, js); n != 10 {
		t.Errorf("%d messages of 10 recordings", n)
	}
}

func TestAFullStreamIs503AndNothingIsAnswered200Unstored(t *testing.T) {
	_, js := testenv.Account(t, "test17")
	provision(t, js, 1<<20)
	p := run(t, testenv.Need(t, testenv.NATSURL), "test17").ready()
	pad := strings.Repeat("x", 200<<10)
	accepted := uint64(0)
	for i := range 12 {
		a := p.webhook(body(fmt.Sprintf("rec-%d", i), `,"tags":{"pad":"`+pad+`"}`))
		switch {
		case a.status == 200:
			accepted++
		case a.status != 503 || a.Code != "unavailable" || a.header.Get("Retry-After") != "5":
			t.Errorf("got %d %s", a.status, a.Code)
		}
	}
	if n := stored(t, js); n != accepted || accepted == 0 || accepted == 12 {
		t.Errorf("%d webhooks were accepted, %d are stored", accepted, n)
	}
	provision(t, js, 64<<20)
	if a := p.webhook(body("rec-11", `,"tags":{"pad":"`+pad+`"}`)); a.status != 200 {
		t.Errorf("with space again: got %d %s", a.status, a.Code)
	}
}

func TestAnEventOverTheServersPayloadIs413(t *testing.T) {
	js := provisioned(t, "test18")
	p := run(t, testenv.Need(t, testenv.NATSURL), "test18", "TWINREEL_MAX_BODY_BYTES=8MiB").ready()
	if a := p.webhook(body("rec-1", `,"tags":{"pad":"`+strings.Repeat("x", 7<<20)+`"}`)); a.status != 413 || a.Code != "too_large" {
		t.Errorf("got %d %s", a.status, a.Code)
	}
	if n := stored(t, js); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// link is a TCP connection to NATS that a test can freeze or cut.
type link struct {
	net.Listener
	target string
	mu     sync.Mutex // held while frozen
	conns  sync.Map
}

// newLink listens on addr; nothing is forwarded before serve.
func newLink(t *testing.T, addr string) *link {
	t.Helper()
	u, err := url.Parse(testenv.Need(t, testenv.NATSURL))
	if err != nil {
		t.Fatal(err)
	}
	l := &link{target: u.Host}
	if l.Listener, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(); l.cut() })
	go l.serve()
	return l
}

func (l *link) url() string { return "nats://" + l.Addr().String() }

func (l *link) serve() {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", l.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		l.conns.Store(in, out)
		go l.pass(in, out)
		go l.pass(out, in)
	}
}

// pass copies until either side ends.
func (l *link) pass(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		l.mu.Lock()
		l.mu.Unlock() //nolint:gocritic,staticcheck // only to wait while frozen
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

// cut ends all connections.
func (l *link) cut() {
	l.conns.Range(func(in, out any) bool {
		_, _ = in.(io.Closer).Close(), out.(io.Closer).Close()
		l.conns.Delete(in)
		return true
	})
}

func TestWithoutAnAcknowledgementThereIsNo200(t *testing.T) {
	js := provisioned(t, "test18")
	l := newLink(t, "127.0.0.1:0")
	p := run(t, l.url(), "test18", "TWINREEL_ACK_TIMEOUT=1s").ready()
	lost := body("rec-frozen", `,"eventId":"a"`)
	l.mu.Lock()
	began := time.Now()
	if a := p.webhook(lost); a.status != 503 || a.Code != "unavailable" {
		t.Errorf("frozen: got %d %s", a.status, a.Code)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the answer took %v", took)
	}
	l.mu.Unlock()
	p.ready()
	// The frozen publish may have arrived after all: then the platform's next try is a duplicate. It is stored once.
	if a := p.webhook(lost); a.status != 200 {
		t.Errorf("sent again: got %d %s", a.status, a.Code)
	}
	if n := stored(t, js); n != 1 {
		t.Errorf("%d messages of one recording", n)
	}
	l.cut()
	accepted := uint64(1)
	until(t, "webhooks are taken again after the connection was cut", func() bool {
		a := p.webhook(body(fmt.Sprintf("rec-%d", accepted), `,"eventId":"a"`))
		if a.status != 200 && a.status != 503 {
			t.Errorf("cut: got %d %s", a.status, a.Code)
		}
		return a.status == 200
	})
	p.stop()
}

func TestNATSAwayAtStartIsWaitedFor(t *testing.T) {
	_, js := testenv.Account(t, "test19")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close() // nobody is there now
	p := run(t, "nats://"+addr, "test19")
	refused := func(state, detail string) {
		t.Helper()
		until(t, state+": /readyz says so", func() bool {
			code, body := p.get("/readyz")
			return code == http.StatusServiceUnavailable && strings.Contains(body, detail)
		})
		if a := p.webhook(body("rec-1", "")); a.status != 503 || a.header.Get("Retry-After") != "5" {
			t.Errorf("%s: got %d %s", state, a.status, a.Code)
		}
		if a := p.webhook("x"); a.status != 400 {
			t.Errorf("%s: what is wrong is said all the same: got %d", state, a.status)
		}
		if code, _ := p.get("/livez"); code != http.StatusOK {
			t.Errorf("%s: livez %d", state, code)
		}
		if code, body := p.health(); code != http.StatusServiceUnavailable || body != `{"ready":false}` {
			t.Errorf("%s: a load balancer is told %d %s", state, code, body)
		}
	}
	refused("NATS away", "not connected")
	waiting := regexp.MustCompile(`"waiting_for":\[.*"nats: not connected`)
	until(t, "the log says what is waited for", func() bool { return waiting.MatchString(p.log()) })
	newLink(t, addr)
	refused("not provisioned", "reconciler provision")
	provision(t, js, 1<<20)
	p.ready()
	if code, body := p.health(); code != http.StatusOK || body != `{"ready":true}` {
		t.Errorf("ready: a load balancer is told %d %s", code, body)
	}
	if a := p.webhook(body("rec-1", "")); a.Code != "accepted" {
		t.Errorf("got %d %s", a.status, a.Code)
	}
	until(t, "the log says that the wait is over", func() bool { return strings.Contains(p.log(), `"msg":"ready"`) })
}

func TestAStreamWithFewerReplicasThanAskedForIsNotReady(t *testing.T) {
	provisioned(t, "test20")
	p := run(t, testenv.Need(t, testenv.NATSURL), "test20", "TWINREEL_NATS_REPLICAS=3")
	until(t, "/readyz names the replicas", func() bool {
		code, body := p.get("/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "TWINREEL_NATS_REPLICAS asks for 3")
	})
	if a := p.webhook(body("rec-1", "")); a.status != 503 {
		t.Errorf("got %d %s", a.status, a.Code)
	}
}
