package digest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/testenv"
)

func entry(body string) digest.Entry {
	return digest.Entry{Digest: digest.Of([]byte(body)), ObjectKey: "recordings/rec-1.wav", Sidecar: []byte(`{"of":"` + body + `"}`)}
}

// suite is what every Agreement keeps to. purge withdraws an entry as the reconciler does.
func suite(t *testing.T, a digest.Agreement, purge func(key string)) {
	ctx := t.Context()
	key := event.HashKey
	t.Run("the first offer holds, for everybody", func(t *testing.T) {
		first, err := a.Agree(ctx, key("one"), entry("a"))
		if err != nil || !first.Created || first.Digest != entry("a").Digest {
			t.Fatalf("first: %+v %v", first, err)
		}
		second, err := a.Agree(ctx, key("one"), entry("b"))
		if err != nil || second.Created || second.Digest != first.Digest || second.Revision != first.Revision || string(second.Sidecar) != string(first.Sidecar) {
			t.Fatalf("second: %+v %v", second, err)
		}
		if still, err := a.Confirm(ctx, key("one"), first); err != nil || still.Revision != first.Revision || still.Digest != first.Digest {
			t.Errorf("what stands is not confirmed: %+v %v", still, err)
		}
		got, err := a.Get(ctx, key("one"))
		if err != nil || got.Digest != first.Digest || got.Revision != first.Revision {
			t.Fatalf("get: %+v %v", got, err)
		}
	})
	t.Run("of many at once exactly one creates", func(t *testing.T) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		created, seen := 0, map[string]int{}
		for i := range 16 {
			wg.Go(func() {
				held, err := a.Agree(ctx, key("many"), entry(fmt.Sprint(i)))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("offer %d: %v", i, err)
					return
				}
				seen[held.SHA256]++
				if held.Created {
					created++
				}
			})
		}
		wg.Wait()
		if created != 1 || len(seen) != 1 {
			t.Errorf("%d created, %d different entries held", created, len(seen))
		}
	})
	t.Run("nothing agreed yet", func(t *testing.T) {
		if _, err := a.Confirm(ctx, key("none"), digest.Held{Revision: 7}); !errors.Is(err, digest.ErrNoEntry) {
			t.Errorf("what never was is confirmed: %v", err)
		}
		if _, err := a.Get(ctx, key("none")); !errors.Is(err, digest.ErrNoEntry) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("replaced at its revision only", func(t *testing.T) {
		held, _ := a.Agree(ctx, key("replace"), entry("a"))
		now, err := a.Replace(ctx, key("replace"), held.Revision, entry("b"))
		if err != nil || now.Digest != entry("b").Digest || now.Revision <= held.Revision {
			t.Fatalf("replace: %+v %v", now, err)
		}
		if _, err := a.Replace(ctx, key("replace"), held.Revision, entry("c")); !errors.Is(err, digest.ErrChanged) {
			t.Errorf("replace at the old revision: %v", err)
		}
		if same, err := a.Confirm(ctx, key("replace"), digest.Held{Revision: held.Revision}); err != nil || same.Digest != entry("b").Digest || same.Revision <= held.Revision {
			t.Errorf("a replaced entry is confirmed: %+v %v", same, err)
		}
		if got, _ := a.Get(ctx, key("replace")); got.Digest != entry("b").Digest {
			t.Errorf("holds %+v", got)
		}
	})
	t.Run("purged and agreed anew", func(t *testing.T) {
		first, _ := a.Agree(ctx, key("purge"), entry("a"))
		purge(key("purge"))
		if _, err := a.Get(ctx, key("purge")); !errors.Is(err, digest.ErrNoEntry) {
			t.Fatalf("after the purge: %v", err)
		}
		held, err := a.Agree(ctx, key("purge"), entry("b"))
		if err != nil || !held.Created || held.Digest != entry("b").Digest || held.Revision <= first.Revision {
			t.Errorf("agreed anew: %+v %v", held, err)
		}
	})
	t.Run("a forgotten recording stays forgotten", func(t *testing.T) {
		if _, err := a.Agree(ctx, key("forgotten"), digest.Entry{Forgotten: true}); err != nil {
			t.Fatal(err)
		}
		held, err := a.Agree(ctx, key("forgotten"), entry("a"))
		if err != nil || !held.Forgotten || held.Created {
			t.Errorf("got %+v %v", held, err)
		}
	})
}

func TestMemory(t *testing.T) {
	m := &digest.Memory{}
	suite(t, m, m.Purge)
	m.SetAway(true)
	if _, err := m.Get(t.Context(), "x"); err == nil || errors.Is(err, digest.ErrNoEntry) {
		t.Errorf("away: %v", err)
	}
}

func TestKVOnARealServer(t *testing.T) {
	_, js := testenv.Account(t, "test06")
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "twinreel-digests", LimitMarkerTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	suite(t, digest.NewKV(kv, 5*time.Second), func(key string) {
		if err := kv.Purge(context.WithoutCancel(t.Context()), key); err != nil {
			t.Fatal(err)
		}
	})
}

// lagging is a bucket whose replicas lag behind its leader: the first reads do not find what is there.
type lagging struct {
	jetstream.KeyValue
	reads atomic.Int32 // that find nothing
	then  func()       // is done at each of them
}

func (l *lagging) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	if l.reads.Add(-1) >= 0 {
		l.then()
		return nil, jetstream.ErrKeyNotFound
	}
	return l.KeyValue.Get(ctx, key)
}

// given an entry that stands, when it is read from a replica that does not have it yet, then it is asked for again, until there
// is no time left; and what was purged in between is agreed on anew.
func TestAReplicaThatLagsIsWaitedFor(t *testing.T) {
	_, js := testenv.Account(t, "test07")
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "twinreel-digests", LimitMarkerTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	first, err := digest.NewKV(kv, 5*time.Second).Agree(t.Context(), "k", entry("a"))
	if err != nil {
		t.Fatal(err)
	}
	bucket := &lagging{KeyValue: kv, then: func() {}}
	bucket.reads.Store(4)
	held, err := digest.NewKV(bucket, 5*time.Second).Agree(t.Context(), "k", entry("b"))
	if err != nil || held.Created || held.Digest != first.Digest || held.Revision != first.Revision {
		t.Errorf("held %+v, %v; want what stands", held, err)
	}
	bucket.reads.Store(1000)
	if held, err := digest.NewKV(bucket, 100*time.Millisecond).Agree(t.Context(), "k", entry("b")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("held %+v, %v; want that there was no answer in time", held, err)
	}
	bucket.reads.Store(1)
	bucket.then = func() {
		if err := kv.Purge(t.Context(), "k"); err != nil {
			t.Error(err)
		}
	}
	if held, err := digest.NewKV(bucket, 5*time.Second).Agree(t.Context(), "k", entry("b")); err != nil || !held.Created || held.Digest != entry("b").Digest {
		t.Errorf("held %+v, %v; want the new offer", held, err)
	}
}

func TestKVWithoutAnAnswerIsNoAgreement(t *testing.T) {
	nc, js := testenv.Account(t, "test07")
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "twinreel-digests"})
	if err != nil {
		t.Fatal(err)
	}
	a := digest.NewKV(kv, 200*time.Millisecond)
	nc.Close()
	if _, err := a.Agree(t.Context(), "k", entry("a")); err == nil {
		t.Error("agreed with nobody")
	}
	if _, err := a.Get(t.Context(), "k"); err == nil || errors.Is(err, digest.ErrNoEntry) {
		t.Errorf("get: %v", err)
	}
}

func TestAnEntryThatIsTooLargeSaysSo(t *testing.T) {
	_, js := testenv.Account(t, "test07")
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "twinreel-digests"})
	if err != nil {
		t.Fatal(err)
	}
	huge := entry("a")
	huge.Sidecar = make([]byte, 1<<20)
	if _, err := digest.NewKV(kv, 5*time.Second).Agree(t.Context(), "k", huge); !errors.Is(err, digest.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}
