package queue_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// provisioned returns an account with all streams and a publisher on it.
func provisioned(t *testing.T, account string) (jetstream.JetStream, *queue.Publisher) {
	t.Helper()
	nc, js := testenv.Account(t, account)
	if _, err := queue.Provision(t.Context(), js, small(), 1); err != nil {
		t.Fatal(err)
	}
	return js, queue.NewPublisher(nc, js)
}

func recording(id, eventID string) event.Event {
	return event.New(event.Data{RecordingID: id, Source: event.DefaultSource, Media: event.Media{URL: "https://cdn.example.com/" + id, Format: "wav"}}, eventID, time.Now())
}

func TestTheSameEventIsStoredOnce(t *testing.T) {
	js, p := provisioned(t, "test02")
	for i, want := range []bool{false, true, true} {
		dup, err := p.Completed(t.Context(), queue.Both, recording("rec-1", "ev-1"), "00-trace")
		if err != nil || dup != want {
			t.Fatalf("time %d: duplicate %v, %v", i, dup, err)
		}
	}
	if dup, err := p.Completed(t.Context(), queue.Both, recording("rec-1", "ev-2"), ""); err != nil || dup {
		t.Fatalf("another event of the recording: %v %v", dup, err)
	}
	s, _ := js.Stream(t.Context(), queue.Recordings)
	msg, err := s.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if msg.Subject != "recordings.completed.both" || msg.Header.Get("Content-Type") != "application/cloudevents+json" || msg.Header["traceparent"][0] != "00-trace" {
		t.Errorf("%s %v", msg.Subject, msg.Header)
	}
	if info, _ := s.Info(t.Context()); info.State.Msgs != 2 {
		t.Errorf("%d messages", info.State.Msgs)
	}
}

func TestWithoutTheStreamsAcknowledgementThereIsAnError(t *testing.T) {
	js, p := provisioned(t, "test02")
	if err := js.DeleteStream(t.Context(), queue.Recordings); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := p.Completed(ctx, queue.Both, recording("rec-1", "ev-1"), ""); err == nil {
		t.Fatal("published into nothing")
	}
}

func TestAFullStreamRefuses(t *testing.T) {
	nc, js := testenv.Account(t, "test02")
	sizes := small()
	sizes.Recordings = 1 << 20
	if _, err := queue.Provision(t.Context(), js, sizes, 1); err != nil {
		t.Fatal(err)
	}
	p := queue.NewPublisher(nc, js)
	big := recording("rec-1", "")
	big.Data.Tags = map[string]string{"x": strings.Repeat("x", 200<<10)}
	for range 8 {
		if _, err := p.Completed(t.Context(), queue.Both, big, ""); err != nil {
			return
		}
		big.ID += "x"
	}
	t.Fatal("the stream took more than its size")
}

func TestATooLargeEventIsRefusedBeforeItIsSent(t *testing.T) {
	_, p := provisioned(t, "test02")
	big := recording("rec-1", "")
	big.Data.Tags = map[string]string{"x": strings.Repeat("x", 1<<20-32<<10)}
	if _, err := p.Completed(t.Context(), queue.Both, big, ""); !errors.Is(err, queue.ErrTooLarge) {
		t.Fatalf("got %v", err)
	}
}

func TestAnEventWhoseDigestEntryWouldBeTooLargeIsRefused(t *testing.T) {
	_, p := provisioned(t, "test02")
	e := recording("rec-1", "")
	e.Data.Tags = map[string]string{"x": strings.Repeat(`"`, 300<<10)} // 600 KiB in the event, 1.2 MiB in the entry
	if _, err := p.Completed(t.Context(), queue.Both, e, ""); !errors.Is(err, queue.ErrTooLarge) {
		t.Fatalf("got %v", err)
	}
}

func TestWhatWasAcceptedCanBeSentAgain(t *testing.T) {
	_, p := provisioned(t, "test02")
	e := recording("rec-1", "")
	e.Data.Tags = map[string]string{"x": strings.Repeat("x", 1<<20-34<<10)}
	if _, err := p.Completed(t.Context(), queue.Both, e, ""); err != nil {
		t.Fatal(err)
	}
	e.Type, e.Data.Reason = event.TypeRedrive, strings.Repeat("r", 20<<10)
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Redrive(t.Context(), tier.Primary, "again", "", body); err != nil {
		t.Error(err)
	}
}

func TestWhatNoWorkerCouldReadIsNotPublished(t *testing.T) {
	js, p := provisioned(t, "test02")
	e := recording("rec-1", "")
	e.Data.ObjectKey = "recordings/other.wav"
	if _, err := p.Completed(t.Context(), queue.Both, e, ""); !errors.Is(err, event.ErrInvalid) {
		t.Errorf("got %v", err)
	}
	s, _ := js.Stream(t.Context(), queue.Recordings)
	if n := s.CachedInfo().State.Msgs; n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestALetterIsTheEventAndWhy(t *testing.T) {
	js, p := provisioned(t, "test02")
	sent := queue.Letter{
		Tier: tier.Backup, Body: []byte(`{"any":"bytes"}`), Reason: queue.SourceGone, Error: "get <cdn.example.com>: 404", Attempts: 7,
		OriginSubject: "recordings.completed.both", OriginStream: queue.Recordings, OriginSeq: 42, DeadAt: time.Now().UTC(), Traceparent: "00-x",
	}
	for range 2 { // the second is the same letter
		if err := p.Letter(t.Context(), sent); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := js.Stream(t.Context(), queue.DeadLetters)
	if info, _ := s.Info(t.Context()); info.State.Msgs != 1 {
		t.Fatalf("%d letters", info.State.Msgs)
	}
	msg, err := s.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := queue.ParseLetter(msg.Subject, msg.Sequence, msg.Header, msg.Data)
	if err != nil {
		t.Fatal(err)
	}
	if got.Tier != sent.Tier || string(got.Body) != string(sent.Body) || got.Reason != sent.Reason || got.Error != sent.Error || got.Attempts != 7 ||
		got.OriginSeq != 42 || got.OriginSubject != sent.OriginSubject || !got.DeadAt.Equal(sent.DeadAt) || got.Traceparent != "00-x" || got.Sequence != 1 {
		t.Errorf("got %+v", got)
	}
	if msg.Header.Get("Nats-Msg-Id") != "backup/RECORDINGS/42" {
		t.Errorf("message ID %q", msg.Header.Get("Nats-Msg-Id"))
	}
}

func TestAuditRefusingIsAFaultOfAudit(t *testing.T) {
	js, p := provisioned(t, "test02")
	a := event.Audit{Kind: event.AuditStored, Tier: "primary", MsgID: "stored/primary/RECORDINGS/1", Time: time.Now()}
	for range 2 {
		if err := p.Audit(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := js.Stream(t.Context(), queue.Audit)
	if info, _ := s.Info(t.Context()); info.State.Msgs != 1 {
		t.Errorf("%d audit events", info.State.Msgs)
	}
	if err := js.DeleteStream(t.Context(), queue.Audit); err != nil {
		t.Fatal(err)
	}
	if err := p.Audit(t.Context(), a); !fault.Is(err, fault.Unavailable, fault.Audit) {
		t.Errorf("got %v", err)
	}
}
