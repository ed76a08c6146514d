package erasure

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

func TestWhatIsForgottenIsSaidEverywhereAndWhatIsLeftIsTold(t *testing.T) {
	b := newBed(t)
	e := b.agree("rec-1")
	b.bury("rec-1", 1)
	b.bury("rec-2", 2)
	b.stores[tier.Backup].Plant(e.ObjectKey, memstore.Object{Body: []byte("RIFF")})
	b.stores[tier.Backup].Plant("recordings/rec-1.wav.mp3", memstore.Object{Body: []byte("another's")})
	b.stores[tier.Primary].Plant(event.SidecarKey("rec-1"), memstore.Object{Body: e.Sidecar})
	r := b.forget("rec-1")
	b.gone("rec-1")
	if b.letters() != 1 || r.Letters != 1 || r.Before || r.Ledger != Cleared || len(b.ledger.forgotten) != 1 || r.EventsUntil.IsZero() || r.Tombstone.Case != "case-7" {
		t.Errorf("%d letters are left, got %+v", b.letters(), r)
	}
	if len(r.Copies) != 2 || r.Copies[0].Tier != tier.Primary || r.Copies[0].Key != "metadata/rec-1.json" || r.Copies[1].Key != e.ObjectKey || r.Copies[1].Bucket != "bucket-backup" {
		t.Errorf("still there: %+v", r.Copies)
	}
	want := event.AuditData{IdempotencyKey: "rec-1", Reason: "asked by letter", Case: "case-7", By: "ada@desk"}
	if got := b.audited(event.AuditForgotten); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("audited %+v", got)
	}
	if got := b.audited(event.AuditDiscarded); len(got) != 1 || got[0].Reason != "forgotten" || got[0].Case != "case-7" {
		t.Errorf("audited %+v", got)
	}
	if known, err := b.Stones.Known(t.Context(), "rec-2"); err != nil || known {
		t.Errorf("another is forgotten, too: %v, %v", known, err)
	}
}

func TestForgettingAgainKeepsTheFirstWordAndFinishesWhatIsLeft(t *testing.T) {
	b := newBed(t)
	first := b.forget("rec-1")
	b.bury("rec-1", 1) // of a worker that had looked before
	r, err := b.Forget(t.Context(), Request{Key: "rec-1", Case: "case-8", Reason: "once more"})
	if err != nil || !r.Before || r.Tombstone != first.Tombstone || r.Letters != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
	b.forget("rec-1")
	if got := b.audited(event.AuditForgotten); len(got) != 2 {
		t.Errorf("want each case once, got %+v", got)
	}
}

// given a crash after each step, when it is asked for again, then it ends as if there had been none.
func TestACrashAnywhereIsFinishedByAskingAgain(t *testing.T) {
	for name, crash := range map[string]func(b *bed, q Request) error{
		"before the log has it": func(b *bed, _ Request) error { return nil },
		"after the audit event": func(b *bed, q Request) error { return b.audit(t.Context(), event.HashKey(q.Key), q) },
		"after the tombstone": func(b *bed, q Request) error {
			_, err := b.Stones.set(t.Context(), event.HashKey(q.Key), Tombstone{By: "ada@desk", Case: q.Case, At: b.Now()})
			return errors.Join(err, b.audit(t.Context(), event.HashKey(q.Key), q))
		},
		"after the entry": func(b *bed, q Request) error {
			_, err := b.Stones.set(t.Context(), event.HashKey(q.Key), Tombstone{By: "ada@desk", Case: q.Case, At: b.Now()})
			_, _, ferr := b.Stones.forget(t.Context(), event.HashKey(q.Key))
			return errors.Join(err, ferr, b.audit(t.Context(), event.HashKey(q.Key), q))
		},
		"while letters are removed": func(b *bed, q Request) error {
			b.log.fail = errBroken
			_, err := b.Forget(t.Context(), q)
			if b.log.fail = nil; err == nil {
				return errors.New("it went on without the log")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.agree("rec-1")
			b.bury("rec-1", 1)
			b.bury("rec-1", 2)
			if err := crash(b, Request{Key: "rec-1", Case: "case-7", Reason: "asked by letter"}); err != nil {
				t.Fatal(err)
			}
			r := b.forget("rec-1")
			b.gone("rec-1")
			if b.letters() != 0 || len(b.audited(event.AuditForgotten)) != 1 || r.Tombstone.Case != "case-7" {
				t.Errorf("%d letters, got %+v", b.letters(), r)
			}
		})
	}
}

func TestNothingIsForgottenOfWhichTheLogDoesNotTell(t *testing.T) {
	b := newBed(t)
	b.bury("rec-1", 1)
	b.log.fail = errBroken
	if _, err := b.Forget(t.Context(), Request{Key: "rec-1", Case: "c", Reason: "r"}); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("got %v", err)
	}
	if known, err := b.Stones.Known(t.Context(), "rec-1"); err != nil || known || b.letters() != 1 || len(b.ledger.forgotten) != 0 {
		t.Errorf("known %v, %v, %d letters", known, err, b.letters())
	}
}

func TestWhoIsAwayHindersNothingAndIsTold(t *testing.T) {
	b := newBed(t)
	b.ledger.fail = errBroken
	b.stores[tier.Primary].Before(memstore.List, memstore.Always(errBroken))
	delete(b.Stores, tier.Backup)
	r := b.forget("rec-1")
	b.gone("rec-1")
	if r.Ledger != errBroken.Error() || len(r.Unseen) != 2 || r.Unseen[0].Tier != tier.Primary || r.Unseen[1].Why != "not set up" {
		t.Errorf("got %+v", r)
	}
	b.Ledger = nil
	if r = b.forget("rec-1"); r.Ledger == Cleared {
		t.Errorf("got %+v", r)
	}
}

// raced is a bucket in which somebody else writes just before us, a few times.
type raced struct {
	jetstream.KeyValue
	first []func()
}

func (r *raced) others() {
	if len(r.first) > 0 {
		r.first[0]()
		r.first = r.first[1:]
	}
}

func (r *raced) Create(ctx context.Context, key string, value []byte, o ...jetstream.KVCreateOpt) (uint64, error) {
	r.others()
	return r.KeyValue.Create(ctx, key, value, o...)
}

func (r *raced) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	r.others()
	return r.KeyValue.Update(ctx, key, value, revision)
}

// given workers that agree, and one who withdraws the agreement, each just before the erasure writes, then it wins.
func TestTheErasureWinsAgainstAnAgreementOfTheSameMoment(t *testing.T) {
	b := newBed(t)
	kv, hash := b.Stones.digests, event.HashKey("rec-1")
	put := func() {
		if _, err := kv.Put(t.Context(), hash, []byte(`{"sha256":"aa","crc64nvme":"AAAAAAAAAAA=","size":1,"objectKey":"k","sidecar":"{}"}`)); err != nil {
			t.Error(err)
		}
	}
	withdraw := func() {
		if err := kv.Purge(t.Context(), hash); err != nil {
			t.Error(err)
		}
	}
	b.Stones.digests = &raced{kv, []func(){put, put, withdraw, put}}
	b.forget("rec-1")
	b.Stones.digests = kv
	b.gone("rec-1")
}

func TestAnEntryThatNobodyCanReadIsReplaced(t *testing.T) {
	b := newBed(t)
	if _, err := b.Stones.digests.Put(t.Context(), event.HashKey("rec-1"), []byte("?")); err != nil {
		t.Fatal(err)
	}
	b.forget("rec-1")
	b.gone("rec-1")
}

// given buckets that were lost, and a request that broke off after its audit event, when tombstones are refilled from the
// log, then each is as it was, and a repetition finds nothing to do.
func TestTombstonesAreRefilledFromTheLog(t *testing.T) {
	b := newBed(t)
	b.forget("rec-1")
	b.forget("rec-2")
	hash := event.HashKey("rec-1")
	if err := errors.Join(b.Stones.tombs.Purge(t.Context(), hash), b.Stones.digests.Purge(t.Context(), hash), b.Stones.digests.Purge(t.Context(), event.HashKey("rec-2"))); err != nil {
		t.Fatal(err)
	}
	was := Tombstone{By: "ada@desk", At: b.Now().UTC(), Case: "case-7", Reason: "asked by letter"}
	sealed := func(yield func(Forgotten, error) bool) {
		_ = yield(Forgotten{"rec-1", was}, nil) && yield(Forgotten{"rec-1", Tombstone{By: "later"}}, nil) && yield(Forgotten{"rec-3", was}, nil)
	}
	if made, err := b.Stones.Refill(t.Context(), sealed); err != nil || made != 5 {
		t.Errorf("made %d, %v", made, err)
	}
	for _, id := range []string{"rec-1", "rec-2", "rec-3"} {
		b.gone(id)
	}
	if got, err := b.Stones.Find(t.Context(), "rec-1"); err != nil || got.By != was.By || got.Case != was.Case {
		t.Errorf("got %+v, %v", got, err)
	}
	if made, err := b.Stones.Refill(t.Context(), sealed); err != nil || made != 0 {
		t.Errorf("again: made %d, %v", made, err)
	}
	broken := func(yield func(Forgotten, error) bool) { yield(Forgotten{}, errBroken) }
	if _, err := b.Stones.Refill(t.Context(), broken); !errors.Is(err, errBroken) {
		t.Errorf("a log that breaks off: %v", err)
	}
}

func TestWithTombstonesLostTheEntryStillSaysIt(t *testing.T) {
	b := newBed(t)
	b.forget("rec-1")
	if err := b.Stones.tombs.Purge(t.Context(), event.HashKey("rec-1")); err != nil {
		t.Fatal(err)
	}
	if known, err := b.Stones.Known(t.Context(), "rec-1"); err != nil || !known {
		t.Errorf("known: %v, %v", known, err)
	}
	if r := b.forget("rec-1"); !r.Before || r.Tombstone.Case != "case-7" {
		t.Errorf("got %+v", r)
	}
	b.gone("rec-1")
}

func TestNoAnswerIsNotANo(t *testing.T) {
	b := newBed(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if known, err := b.Stones.Known(ctx, "rec-1"); err == nil || known {
		t.Errorf("known: %v, %v", known, err)
	}
	if err := b.JS.DeleteStream(t.Context(), queue.BucketStream(queue.Tombstones)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Stones.Hashes(t.Context()); err == nil {
		t.Error("no bucket, and an answer")
	}
}
