package scan

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/testenv"
)

// wire is a forwarder before the test server that does something at a message which a consumer delivers.
type wire struct {
	t  *testing.T
	at func(seq uint64) fate

	mu    sync.Mutex
	conns []net.Conn
}

// fate is what happens to a message on its way.
type fate int

const (
	passes fate = iota
	lost
	cut // and so is the connection
)

// through returns JetStream as a client sees it behind such a forwarder.
func through(t *testing.T, at func(seq uint64) fate) jetstream.JetStream {
	t.Helper()
	server, err := url.Parse(testenv.Need(t, testenv.NATSURL))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, at: at}
	var running sync.WaitGroup
	running.Go(func() { w.serve(l, server.Host, &running) })
	nc, err := nats.Connect("nats://"+l.Addr().String(), nats.UserInfo(account, testenv.NATSPassword),
		nats.IgnoreDiscoveredServers(), nats.ReconnectWait(time.Millisecond), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); _ = l.Close(); w.close(); running.Wait() })
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func (w *wire) serve(l net.Listener, server string, running *sync.WaitGroup) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", server)
		if err != nil {
			w.t.Error(err)
			_ = client.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, client, up)
		w.mu.Unlock()
		running.Go(func() { _, _ = io.Copy(up, client); _ = up.Close() })
		running.Go(func() { w.deliver(client, bufio.NewReader(up)); _ = client.Close(); _ = up.Close() })
	}
}

func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
}

// deliver forwards what the server says, message by message.
func (w *wire) deliver(client io.Writer, server *bufio.Reader) {
	for {
		line, err := server.ReadString('\n')
		if err != nil {
			return
		}
		out, does := []byte(line), passes
		if f := strings.Fields(line); len(f) > 3 && (f[0] == "MSG" || f[0] == "HMSG") {
			size, err := strconv.Atoi(f[len(f)-1])
			if err != nil {
				w.t.Errorf("the server says %q", line)
				return
			}
			body := make([]byte, size+2)
			if _, err := io.ReadFull(server, body); err != nil {
				return
			}
			out, does = append(out, body...), w.fate(f[3])
		}
		if does == cut {
			return
		}
		if does == passes {
			if _, err := client.Write(out); err != nil {
				return
			}
		}
	}
}

// fate decides by the address for the acknowledgement, $JS.ACK.stream.consumer.deliveries.stream sequence. …
func (w *wire) fate(reply string) fate {
	p := strings.Split(reply, ".")
	if len(p) < 9 || p[0] != "$JS" || p[1] != "ACK" {
		return passes
	}
	seq, err := strconv.ParseUint(p[5], 10, 64)
	if err != nil {
		w.t.Errorf("an acknowledgement goes to %q", reply)
	}
	return w.at(seq)
}

// numbers are the sequences from first to last, each step-th.
func numbers(first, last, step uint64) []uint64 {
	var out []uint64
	for ; first <= last; first += step {
		out = append(out, first)
	}
	return out
}

// ranges are those that a reading must come to the end of, whatever happens to a stream of 1,200 messages: more than a
// client takes in advance.
func ranges() map[string]struct {
	r    Range
	want []uint64
} {
	return map[string]struct {
		r    Range
		want []uint64
	}{
		"all":      {Range{}, numbers(1, 1200, 1)},
		"subjects": {Range{Subjects: []string{"s.b", "s.none"}}, numbers(2, 1200, 2)},
		"from":     {Range{From: 600}, numbers(600, 1200, 1)},
		"since":    {Range{Since: time.Now().Add(-time.Hour)}, numbers(1, 1200, 1)},
		"headers":  {Range{Subjects: []string{"s.b"}, Headers: true}, numbers(2, 1200, 2)},
	}
}

// reads fails the test unless the reading visits exactly what it should, in order.
func reads(t *testing.T, js jetstream.JetStream, r Range, want []uint64, each func(seq uint64)) {
	t.Helper()
	var got []uint64
	d := &reading{js: js, name: "S", span: r, patience: 200 * time.Millisecond, visit: func(m Message) error {
		got = append(got, m.Sequence)
		each(m.Sequence)
		return nil
	}}
	if err := d.run(t.Context()); err != nil || !slices.Equal(got, want) {
		t.Errorf("visited %d of %d: %v", len(got), len(want), err)
	}
}

func nothing(uint64) {}

// once returns what does f the first time that is says so.
func once(is func(seq uint64) bool, does fate) func(uint64) fate {
	var first sync.Once
	return func(seq uint64) (out fate) {
		if is(seq) {
			first.Do(func() { out = does })
		}
		return out
	}
}

func TestStreamGoesOnWhereItsConnectionBroke(t *testing.T) {
	stream(t, 1200)
	for name, c := range ranges() {
		t.Run(name, func(t *testing.T) {
			js := through(t, once(func(seq uint64) bool { return seq >= 900 }, cut))
			reads(t, js, c.r, c.want, nothing)
		})
	}
}

// The server has sent all of it and says so: the consumer has nothing pending, and nothing comes.
func TestStreamIsNotAtItsEndWhileWhatWasSentLastIsLost(t *testing.T) {
	stream(t, 1200)
	for name, c := range ranges() {
		t.Run(name, func(t *testing.T) {
			var ended sync.Map
			js := through(t, func(seq uint64) fate {
				if _, again := ended.LoadOrStore(seq, true); seq >= 1100 && !again {
					return lost
				}
				return passes
			})
			reads(t, js, c.r, c.want, nothing)
		})
	}
}

func TestStreamGoesOnWhenItsConsumerIsGone(t *testing.T) {
	js := stream(t, 1200)
	s, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range ranges() {
		t.Run(name, func(t *testing.T) {
			reads(t, js, c.r, c.want, func(seq uint64) {
				if seq != 700 {
					return
				}
				for name := range s.ConsumerNames(t.Context()).Name() {
					if err := s.DeleteConsumer(t.Context(), name); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

func TestStreamFailsWhereAMessageNeverComes(t *testing.T) {
	stream(t, 10)
	js := through(t, func(seq uint64) fate {
		if seq >= 8 {
			return lost
		}
		return passes
	})
	seen := 0
	d := &reading{js: js, name: "S", patience: 50 * time.Millisecond, visit: func(Message) error { seen++; return nil }}
	if err := d.run(t.Context()); err == nil || !strings.Contains(err.Error(), "message 8 ") || seen != 7 {
		t.Errorf("visited %d: %v", seen, err)
	}
}

func TestStreamThatIsMadeAnewWhileItIsReadIsAnError(t *testing.T) {
	js := stream(t, 1200)
	d := &reading{js: js, name: "S", patience: 200 * time.Millisecond, visit: func(m Message) error {
		if m.Sequence != 1 {
			return nil
		}
		if err := js.DeleteStream(t.Context(), "S"); err != nil {
			return err
		}
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
		return err
	}}
	if err := d.run(t.Context()); err == nil || !strings.Contains(err.Error(), errAnew.Error()) {
		t.Errorf("got %v", fmt.Sprint(err))
	}
}
