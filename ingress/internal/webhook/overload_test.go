package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/ingress/internal/config"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
)

// stream is a Publisher that holds every event until it is told to let them go.
type stream struct {
	held    atomic.Int32
	release chan struct{}
}

func (s *stream) Completed(ctx context.Context, _ queue.Route, _ event.Event, _ string) (bool, error) {
	s.held.Add(1)
	defer s.held.Add(-1)
	select {
	case <-s.release:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// door is a handler behind a real server.
type door struct {
	*Handler
	stream *stream
	conns  *conns
	addr   string
}

func open(t *testing.T, connections int, change func(*Handler)) *door {
	t.Helper()
	d := &door{stream: &stream{release: make(chan struct{})}, conns: newConns(connections)}
	d.Handler = New(Options{
		Sources:   map[string]config.Source{"default": {Name: "default", Scheme: config.None}},
		Publisher: d.stream, Router: routed(queue.Both), Ready: func(context.Context) bool { return true }, MaxBody: 256 << 10, AckTimeout: 30 * time.Second,
		Now: time.Now, Log: zap.NewNop(), Registry: prometheus.NewRegistry(),
	})
	if change != nil {
		change(d.Handler)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, context.Background(), l, d, nil, d.conns, zap.NewNop()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return d
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func webhookOf(id string) string {
	return fmt.Sprintf(`{"event":"RECORDING_COMPLETED","recordingId":%q,"mediaFormat":"mp4","duration":1,"participants":[],"mediaUrl":"https://h/x"}`, id)
}

// post sends a webhook and returns the status, and whether it says when to come again.
func (d *door) post(client *http.Client, id string) (int, bool, error) {
	resp, err := client.Post("http://"+d.addr+Path+"default", "application/json", strings.NewReader(webhookOf(id)))
	if err != nil {
		return 0, false, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header.Get("Retry-After") != "", err
}

func TestWhenTooManyWaitForTheStreamTheRestIsToldAtOnce(t *testing.T) {
	const room, all = 50, 200
	d := open(t, 1000, func(h *Handler) { h.gate.maxWaiting = room })
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: all}}
	defer client.CloseIdleConnections()
	var taken, shed atomic.Int32
	var senders sync.WaitGroup
	for i := range all {
		senders.Go(func() {
			switch status, again, err := d.post(client, fmt.Sprint("rec-", i)); {
			case err != nil:
				t.Error(err)
			case status == http.StatusOK:
				taken.Add(1)
			case status == http.StatusServiceUnavailable && again:
				shed.Add(1)
			default:
				t.Errorf("answered %d, Retry-After %v", status, again)
			}
		})
	}
	until(t, "the rest is told", func() bool { return shed.Load() == all-room })
	if held := d.stream.held.Load(); held != room {
		t.Errorf("%d wait for the stream, want %d", held, room)
	}
	close(d.stream.release)
	senders.Wait()
	if taken.Load() != room {
		t.Errorf("%d were taken, want %d", taken.Load(), room)
	}
	if waiting, held := d.gate.now(); waiting != 0 || held != 0 {
		t.Errorf("%d still wait, with %d bytes", waiting, held)
	}
	if status, _, err := d.post(client, "afterwards"); err != nil || status != http.StatusOK {
		t.Errorf("afterwards: %d, %v", status, err)
	}
}

func TestBodiesHoldNoMoreThanTheyMay(t *testing.T) {
	d := open(t, 1000, func(h *Handler) { h.gate.maxHeld = 512 << 10 })
	close(d.stream.release)
	// Senders who stop after 100 KiB of 200: four of them fit, with 128 KiB of room each.
	var conns []net.Conn
	for range 4 {
		conns = append(conns, d.begin(t, 200<<10, strings.Repeat(" ", 100<<10)))
	}
	until(t, "they hold all there is", func() bool { _, held := d.gate.now(); return held == 512<<10 })
	client := &http.Client{}
	defer client.CloseIdleConnections()
	if status, again, err := d.post(client, "rec-1"); err != nil || status != http.StatusServiceUnavailable || !again {
		t.Errorf("one more is answered %d, Retry-After %v, %v", status, again, err)
	}
	for _, c := range conns {
		c.Close()
	}
	until(t, "all is given back", func() bool { _, held := d.gate.now(); return held == 0 })
	if status, _, err := d.post(client, "rec-1"); err != nil || status != http.StatusOK {
		t.Errorf("afterwards: %d, %v", status, err)
	}
}

// begin opens a connection and sends the head of a webhook that announces so many bytes, and some of them.
func (d *door) begin(t *testing.T, announced int, some string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_, err = fmt.Fprintf(c, "POST %sdefault HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", Path, announced, some)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAThousandSlowSendersDoNotKeepFastOnesOut lets a thousand senders announce the longest body and send next to nothing,
// while there is room for a tenth of their connections: fast ones get through all the same.
func TestAThousandSlowSendersDoNotKeepFastOnesOut(t *testing.T) {
	const limit = 100
	d := open(t, limit, nil)
	close(d.stream.release)
	for range 1000 {
		d.begin(t, 256<<10, "{")
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	var fast sync.WaitGroup
	for i := range 64 {
		fast.Go(func() {
			for n := range 20 {
				if status, _, err := d.post(client, fmt.Sprintf("rec-%d-%d", i, n)); err != nil || status != http.StatusOK {
					t.Errorf("fast sender %d: %d, %v", i, status, err)
				}
			}
		})
	}
	fast.Wait()
	if n := d.conns.count(); n > limit {
		t.Errorf("%d connections are open, want at most %d", n, limit)
	}
	if _, held := d.gate.now(); held > limit*firstBytes {
		t.Errorf("slow senders hold %d bytes", held)
	}
}

func TestWhoWaitsForTheStreamKeepsItsConnection(t *testing.T) {
	const limit = 20
	d := open(t, limit, nil)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: limit}}
	defer client.CloseIdleConnections()
	var waiting sync.WaitGroup
	for i := range limit {
		waiting.Go(func() {
			if status, _, err := d.post(client, fmt.Sprint("rec-", i)); err != nil || status != http.StatusOK {
				t.Errorf("sender %d: %d, %v", i, status, err)
			}
		})
	}
	until(t, "all wait for the stream", func() bool { return d.stream.held.Load() == limit })
	for range 3 { // newcomers have no place to take
		c, err := net.Dial("tcp", d.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !isReset(err) {
			t.Errorf("a newcomer's connection: %v", err)
		}
		c.Close()
	}
	close(d.stream.release)
	waiting.Wait()
}

// TestOnlyAGoodSignatureKeepsAConnection: over one connection of HTTP/2 whole webhooks can come beside slow ones, so that
// whoever may send anything must not be able to keep it by that.
func TestOnlyAGoodSignatureKeepsAConnection(t *testing.T) {
	d := open(t, 10, func(h *Handler) {
		h.Sources = map[string]config.Source{"default": config.NewSource("default", config.HubSHA256, settings.NewSecret("s3cret"))}
	})
	close(d.stream.release)
	for signature, want := range map[string]bool{hub("s3cret", webhookOf("rec-1")): true, hub("other", webhookOf("rec-1")): false} {
		conn, _ := net.Pipe()
		r := httptest.NewRequest(http.MethodPost, Path+"default", strings.NewReader(webhookOf("rec-1")))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Hub-Signature-256", signature)
		d.ServeHTTP(httptest.NewRecorder(), r.WithContext(d.conns.context(t.Context(), conn)))
		if got := d.conns.open[conn].proven.Load(); got != want {
			t.Errorf("kept: %v, want %v", got, want)
		}
	}
}

// isReset reports whether the other end broke the connection.
func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}
