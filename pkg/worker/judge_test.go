package worker

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

var errBroken = errors.New("broken on purpose")

func sourceFault(c fault.Class, status int) error {
	f := fault.New(c, fault.Source, "get media from cdn.example.com", errBroken)
	f.Status = status
	return f
}

func TestACopiedRecordingIsAcknowledgedAndCounted(t *testing.T) {
	b := newBed(t, "test12")
	b.ends(b.delivery(1, 1))
	if n := testutil.ToFloat64(b.metrics.deliveries.WithLabelValues("stored")); n != 1 {
		t.Errorf("stored = %v", n)
	}
	rec, err := b.ledger.Record(t.Context(), "rec-1")
	if err != nil || rec.Status != ledger.Partial || rec.Primary.Bucket != "bucket" {
		t.Errorf("record %+v %v", rec, err)
	}
}

func TestASickWorldNeverCountsAgainstTheRecording(t *testing.T) {
	for name, err := range map[string]error{
		"store unavailable": fault.New(fault.Unavailable, fault.Store, "put", errBroken),
		"store throttles":   fault.New(fault.Throttled, fault.Store, "put", errBroken),
		"store transient":   fault.New(fault.Transient, fault.Store, "put", errBroken),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, "test12")
			b.store.Before(memstore.Put, memstore.Always(err))
			for n := 1; n <= 20; n++ {
				b.fails(b.delivery(1, n))
				b.clock.move(time.Hour)
			}
			b.alive()
			b.store.Heal()
			b.ends(b.delivery(1, 21))
		})
	}
	for name, err := range map[string]error{
		"source host down": sourceFault(fault.Unavailable, 503),
		"source throttles": sourceFault(fault.Throttled, 429),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, "test12")
			b.source.set(err)
			for n := 1; n <= 20; n++ {
				b.fails(b.delivery(1, n))
				b.clock.move(time.Hour)
			}
			b.alive()
		})
	}
}

func TestASourceThatServesOthersCountsAgainstTheRecording(t *testing.T) {
	b := newBed(t, "test12")
	b.source.set(sourceFault(fault.Unavailable, 500))
	b.fails(b.delivery(1, 1)) // no attempt before it to compare with
	for n := 2; n <= 4; n++ {
		b.clock.move(time.Minute)
		b.hosts.serve("cdn.example.com", b.clock.Now())
		b.clock.move(time.Second)
		b.fails(b.delivery(1, n))
	}
	b.alive()
	b.clock.move(time.Minute)
	b.hosts.serve("cdn.example.com", b.clock.Now())
	b.clock.move(time.Second)
	b.ends(b.delivery(1, 5)) // the fourth that counts: TWINREEL_MAX_ATTEMPTS
	if l := b.dead(queue.AttemptsExhausted); l.Attempts != 5 {
		t.Errorf("attempts %d", l.Attempts)
	}
}

func TestALinkMustBeGoneForAWhile(t *testing.T) {
	b := newBed(t, "test12")
	b.source.set(sourceFault(fault.SourceGone, http.StatusNotFound))
	for n := 1; n <= 10; n++ {
		b.fails(b.delivery(1, n))
		b.clock.move(time.Second)
	}
	b.alive() // ten deliveries, but all within ten seconds
	b.clock.move(time.Minute)
	b.ends(b.delivery(1, 11))
	b.dead(queue.SourceGone)
	rec, err := b.ledger.Record(t.Context(), "rec-1")
	if err != nil || rec.Letters[tier.Primary] != string(queue.SourceGone) || rec.Status != ledger.Failed || rec.Retries.Primary != 11 {
		t.Errorf("record %+v %v", rec, err)
	}
}

func TestAStatus410NeedsNoWhile(t *testing.T) {
	b := newBed(t, "test12")
	b.source.set(sourceFault(fault.SourceGone, http.StatusGone))
	b.fails(b.delivery(1, 1))
	b.fails(b.delivery(1, 2))
	b.ends(b.delivery(1, 3))
	b.dead(queue.SourceGone)
}

func TestUnusableMediaAreGivenUpTheThirdTime(t *testing.T) {
	b := newBed(t, "test12")
	b.source.set(sourceFault(fault.Corrupt, 0))
	b.fails(b.delivery(1, 1))
	b.fails(b.delivery(1, 2))
	b.ends(b.delivery(1, 3))
	l := b.dead(queue.SourceUnusable)
	if want := b.delivery(1, 3).Body; len(l.Body) != len(want) || l.OriginSeq != 1 || l.OriginSubject != "recordings.completed.both" || l.Attempts != 3 {
		t.Errorf("letter %+v", l)
	}
}

func TestAStoreThatRefusesThisOneRecordingAlone(t *testing.T) {
	b := newBed(t, "test13")
	b.store.Before(memstore.Put, memstore.Always(fault.New(fault.Permanent, fault.Store, "put", errBroken)))
	b.fails(b.delivery(1, 1))
	b.fails(b.delivery(1, 2))
	b.ends(b.delivery(1, 3))
	b.dead(queue.StoreRefused)
}

func TestAStoreThatRefusesEverythingIsSick(t *testing.T) {
	b := newBed(t, "test13")
	refuse := memstore.Always(fault.New(fault.Permanent, fault.Store, "put", errBroken))
	b.store.Before(memstore.Put, refuse)
	b.store.Before(memstore.Create, refuse) // the probe as well
	for n := 1; n <= 10; n++ {
		b.fails(b.delivery(1, n))
	}
	b.alive()
}

func TestAConflictIsGivenUpAtOnce(t *testing.T) {
	b := newBed(t, "test13")
	b.ends(b.delivery(1, 1))
	b.ends(b.delivery(2, 1, func(d *event.Data) { d.Media.Format = "mp3" }))
	if l := b.dead(queue.DigestConflict); l.OriginSeq != 2 {
		t.Errorf("letter of message %d", l.OriginSeq)
	}
	rec, _ := b.ledger.Record(t.Context(), "rec-1")
	if rec.Status != ledger.Partial {
		t.Errorf("status %s", rec.Status)
	}
}

func TestWithoutTheLedgerNothingIsGivenUpForACount(t *testing.T) {
	b := newBed(t, "test13")
	b.ledger.SetAway(true)
	b.source.set(sourceFault(fault.Corrupt, 0))
	short := b.fails(b.delivery(1, 1))
	for n := 2; n <= 20; n++ {
		b.clock.move(time.Hour)
		if long := b.fails(b.delivery(1, n)); n > 6 && long < 5*short {
			t.Errorf("delivery %d waits %s, the first waited %s", n, long, short)
		}
	}
	b.alive()
}

func TestWhatIsNoEventIsADeadLetter(t *testing.T) {
	b := newBed(t, "test13")
	d := b.delivery(1, 1)
	d.Body = []byte(`{"specversion":"1.0","type":"org.example"}`)
	b.ends(d)
	if l := b.dead(queue.InvalidEvent); string(l.Body) != string(d.Body) {
		t.Errorf("body %s", l.Body)
	}
}

func TestAnEventOfALaterVersionWaitsADay(t *testing.T) {
	b := newBed(t, "test13")
	d := b.delivery(1, 1)
	var m map[string]any
	if err := json.Unmarshal(d.Body, &m); err != nil {
		t.Fatal(err)
	}
	m["type"] = "com.twinreel.recording.completed.v2"
	d.Body, _ = json.Marshal(m)
	b.fails(d)
	b.clock.move(23 * time.Hour)
	b.fails(d)
	b.alive()
	b.clock.move(2 * time.Hour)
	b.ends(d)
	b.dead(queue.InvalidEvent)
}

func TestTheLastLookFindsWhatAnotherAttemptStored(t *testing.T) {
	b := newBed(t, "test14")
	b.ends(b.delivery(1, 1))
	b.ledger.Clear()
	b.store.Before(memstore.Stat, memstore.Nth(b.store.Calls(memstore.Stat)+1, fault.New(fault.Unavailable, fault.Store, "stat", errBroken)))
	b.source.set(sourceFault(fault.SourceGone, http.StatusGone))
	b.fails(b.delivery(2, 1)) // not looked: a first delivery
	b.fails(b.delivery(2, 2)) // looked in vain: the store was away
	b.ends(b.delivery(2, 3))  // found
	b.alive()
}

func TestAHeldClaimComesAgainInFiveSecondsUncounted(t *testing.T) {
	b := newBed(t, "test14")
	if _, err := b.ledger.Claim(t.Context(), "rec-1", tier.Primary); err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		if after := b.fails(b.delivery(1, n+1)); after != 5*time.Second {
			t.Fatalf("again in %s", after)
		}
	}
	if a, _ := b.ledger.Attempts(t.Context(), "rec-1", tier.Primary, ledger.Message{Stream: queue.Recordings, Sequence: 1}, ""); a.Failed != 0 {
		t.Errorf("counted %d", a.Failed)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	b := newBed(t, "test14")
	f := fault.New(fault.Throttled, fault.Source, "get", errBroken)
	f.RetryAfter = 3 * time.Minute
	b.source.set(f)
	if after := b.fails(b.delivery(1, 1)); after != 3*time.Minute {
		t.Errorf("again in %s", after)
	}
	f.RetryAfter = 48 * time.Hour
	if after := b.fails(b.delivery(1, 2)); after > maxRetryAfter {
		t.Errorf("again in %s", after)
	}
}

func TestADefectIsCountedAndDoesNotEndTheProgram(t *testing.T) {
	b := newBed(t, "test14")
	b.source.panic = true
	for n := 1; n <= 3; n++ {
		b.fails(b.delivery(1, n))
	}
	b.ends(b.delivery(1, 4))
	b.dead(queue.AttemptsExhausted)
}

func TestAtDrainADeliveryIsHandedBackUncounted(t *testing.T) {
	b := newBed(t, "test14")
	ctx, cancel := context.WithCancel(t.Context())
	b.store.Before(memstore.Put, func(context.Context, memstore.Call) error { cancel(); return ctx.Err() })
	if err := b.Handle(ctx, b.delivery(1, 1)); err == nil {
		t.Fatal("acknowledged")
	}
	b.alive()
	if rec, err := b.ledger.Record(t.Context(), "rec-1"); !errors.Is(err, ledger.ErrNoRecord) {
		t.Errorf("counted: %+v %v", rec, err)
	}
}

func TestAFullAuditLogClosesTheGate(t *testing.T) {
	b := newBed(t, "test15")
	s, err := b.js.Stream(t.Context(), queue.Audit)
	if err != nil {
		t.Fatal(err)
	}
	full := s.CachedInfo().Config
	full.MaxBytes = 1
	if _, err := b.js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	b.fails(b.delivery(1, 1))
	if b.open().Slots != 0 || b.gate.check(t.Context()) == nil || testutil.ToFloat64(b.metrics.refusing) != 1 {
		t.Fatal("the gate is open")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go b.gate.watch(ctx, b.js)
	full.MaxBytes = 4 << 20
	if _, err := b.js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for b.open().Slots == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the gate stays closed")
		}
		<-time.After(20 * time.Millisecond)
	}
	b.ends(b.delivery(1, 2))
	b.alive()
}

func TestALetterThatCannotBePublishedKeepsTheOriginal(t *testing.T) {
	b := newBed(t, "test15")
	if err := b.js.DeleteStream(t.Context(), queue.DeadLetters); err != nil {
		t.Fatal(err)
	}
	d := b.delivery(1, 1)
	d.Body = []byte("no event")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var later *queue.Later
	if err := b.Handle(ctx, d); !errors.As(err, &later) {
		t.Errorf("got %v", err)
	}
}
