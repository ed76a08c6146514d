package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// account is the JetStream world in which these tests run, one after the other.
const account = "test21"

// nowhere is an address where nobody answers.
const nowhere = "127.0.0.1:1"

// bed is a world in which the program runs: an empty JetStream account, real Redis under a prefix of its own.
type bed struct {
	t         *testing.T
	nc        *nats.Conn
	js        jetstream.JetStream
	publisher *queue.Publisher
	env       map[string]string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true") // nobody is asked for credentials beyond this machine
	nc, js := testenv.Account(t, account)
	return &bed{t, nc, js, queue.NewPublisher(nc, js), map[string]string{
		"TWINREEL_NATS_URL": testenv.Need(t, testenv.NATSURL), "TWINREEL_NATS_USER": account, "TWINREEL_NATS_PASSWORD": testenv.NATSPassword,
		"TWINREEL_REDIS_URL": testenv.Need(t, testenv.RedisURL), "TWINREEL_REDIS_PREFIX": "t" + rand.Text(),
		"TWINREEL_RECORDINGS_MAX_BYTES": "16MiB", "TWINREEL_DLQ_MAX_BYTES": "16MiB", "TWINREEL_AUDIT_MAX_BYTES": "16MiB",
	}}
}

// provisioned returns a bed with all streams.
func provisioned(t *testing.T) *bed {
	t.Helper()
	b := newBed(t)
	b.ok("provision")
	return b
}

// result is what one run of the program came to.
type result struct {
	code           int
	stdout, stderr string
}

// run runs the program in this world. Its stdin is no terminal.
func (b *bed) run(args ...string) result { return runWith(b.t, b.env, args...) }

func runWith(t *testing.T, env map[string]string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code := Main(ctx, World{
		Args: args, Stdin: strings.NewReader("yes\n"), Stdout: &stdout, Stderr: &stderr,
		Lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	})
	return result{code, stdout.String(), stderr.String()}
}

// ok runs the program and wants it to end 0.
func (b *bed) ok(args ...string) result {
	b.t.Helper()
	r := b.run(args...)
	if r.code != 0 {
		b.t.Fatalf("%v: exit code %d\n%s%s", args, r.code, r.stdout, r.stderr)
	}
	return r
}

// wants runs the program and wants that exit code, and those words on stderr.
func (b *bed) wants(code int, words string, args ...string) result {
	b.t.Helper()
	r := b.run(args...)
	if r.code != code || !strings.Contains(r.stderr, words) {
		b.t.Errorf("%v: exit code %d, want %d with %q in:\n%s%s", args, r.code, code, words, r.stdout, r.stderr)
	}
	return r
}

// decode reads JSON into T, strictly.
func decode[T any](t *testing.T, s string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(s))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return v
}

// recordingEvent returns a completed event. n makes another event of the same recording.
func recordingEvent(source, id string, n int) event.Event {
	return event.New(event.Data{
		RecordingID: id, Source: source, DurationSeconds: 2, Media: event.Media{URL: "https://cdn.example.com/a?signature=s3cret", Format: "wav"},
		Participants: []event.Participant{{"id": "p1", "role": "agent", "name": "Ada Lovelace"}}, Tags: map[string]string{"queue": "billing"},
	}, fmt.Sprint(n), time.Now())
}

// accept publishes an event as ingress does.
func (b *bed) accept(r queue.Route, e event.Event) {
	b.t.Helper()
	if _, err := b.publisher.Completed(b.t.Context(), r, e, ""); err != nil {
		b.t.Fatal(err)
	}
}

// give publishes a dead letter as a worker does; origin is its sequence in RECORDINGS.
func (b *bed) give(t tier.Tier, reason queue.Reason, origin uint64, body []byte) {
	b.t.Helper()
	err := b.publisher.Letter(b.t.Context(), queue.Letter{
		Tier: t, Body: body, Reason: reason, Error: "source: open: answered 404", Attempts: 3, OriginSubject: "recordings.completed.both",
		OriginStream: queue.Recordings, OriginSeq: origin, DeadAt: time.Now(), Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// giveEvent publishes a dead letter of an event.
func (b *bed) giveEvent(t tier.Tier, reason queue.Reason, origin uint64, e event.Event) []byte {
	b.t.Helper()
	body, err := e.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	b.give(t, reason, origin, body)
	return body
}

// stored returns a stream's messages of a subject, oldest first.
func (b *bed) stored(stream, subject string) []*jetstream.RawStreamMsg {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), stream)
	if err != nil {
		b.t.Fatal(err)
	}
	var out []*jetstream.RawStreamMsg
	for seq := uint64(1); ; {
		m, err := s.GetMsg(b.t.Context(), seq, jetstream.WithGetMsgSubject(subject))
		if err != nil {
			return out
		}
		out, seq = append(out, m), m.Sequence+1
	}
}

// count returns how many messages a stream holds.
func (b *bed) count(stream string) uint64 {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), stream)
	if err != nil {
		b.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}
