package history

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
)

var errAway = errors.New("no answer")

// world is a Finder on stores in memory; what is not set knows nothing.
type world struct {
	*Finder
	stores map[tier.Tier]*memstore.Store
	asides []string
}

func newWorld() *world {
	w := &world{stores: map[tier.Tier]*memstore.Store{tier.Primary: memstore.New("one"), tier.Backup: memstore.New("two")}}
	w.Finder = &Finder{
		Record:  func(context.Context, string) (ledger.Record, error) { return ledger.Record{}, ledger.ErrNoRecord },
		Stream:  func(context.Context, string) (Recording, error) { return Recording{}, ErrUnknown },
		Letters: func(context.Context, string) ([]letters.Full, error) { return nil, nil },
		Stores:  map[tier.Tier]objstore.Reader{tier.Primary: w.stores[tier.Primary], tier.Backup: w.stores[tier.Backup]},
		Aside:   func(what string, _ error) { w.asides = append(w.asides, what) },
	}
	return w
}

func completed() event.Event {
	return event.New(event.Data{RecordingID: "rec-1", Source: "emea", Media: event.Media{URL: "https://cdn.example.com/a", Format: "wav"}}, "e", time.Unix(1000, 0))
}

// store plants a copy, of that body, as a worker leaves it.
func (w *world) store(t *testing.T, in tier.Tier, body string, sidecar bool) {
	t.Helper()
	e, err := event.NewEntry(completed(), digest.Of([]byte("RIFF")))
	if err != nil {
		t.Fatal(err)
	}
	w.stores[in].Plant(e.ObjectKey, memstore.Object{Body: []byte(body)})
	if sidecar {
		w.stores[in].Plant(event.SidecarKey("emea/rec-1"), memstore.Object{Body: e.Sidecar})
	}
}

func (w *world) accepted() {
	body, _ := completed().Encode()
	w.Stream = func(_ context.Context, key string) (Recording, error) {
		return FromEvent(key, Message{Subject: queue.CompletedSubject(queue.Both), Body: body, Stored: time.Unix(1001, 0)}), nil
	}
}

func TestRedisIsBelievedFirst(t *testing.T) {
	w := newWorld()
	w.Record = func(_ context.Context, key string) (ledger.Record, error) {
		return ledger.Record{IdempotencyKey: key, RecordingID: "rec-1", Status: ledger.Completed}, nil
	}
	w.Stream = func(context.Context, string) (Recording, error) {
		t.Error("the stream was asked")
		return Recording{}, errAway
	}
	if r, err := w.Find(t.Context(), "emea/rec-1"); err != nil || r.Status != ledger.Completed {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestARecordIsPutTogetherFromWhatOthersKnow(t *testing.T) {
	for name, c := range map[string]struct {
		world  func(*testing.T, *world)
		status ledger.Status
		sides  string
	}{
		"just accepted": {func(_ *testing.T, w *world) { w.accepted() }, ledger.Pending, ""},
		"one copy":      {func(t *testing.T, w *world) { w.accepted(); w.store(t, tier.Backup, "RIFF", true) }, ledger.Partial, "backup"},
		"long ago, twice": {func(t *testing.T, w *world) {
			w.store(t, tier.Primary, "RIFF", true)
			w.store(t, tier.Backup, "RIFF", true)
		}, ledger.Completed, "primary backup"},
		"one sidecar": {func(t *testing.T, w *world) {
			w.store(t, tier.Primary, "RIFF", true)
			w.store(t, tier.Backup, "RIFF", false)
		}, ledger.Completed, "primary backup"},
		"other bytes": {func(t *testing.T, w *world) {
			w.store(t, tier.Primary, "RIFF", true)
			w.store(t, tier.Backup, "RIFX", true)
		}, ledger.Partial, "primary"},
		"given up":             {func(_ *testing.T, w *world) { w.buried(tier.Primary) }, ledger.Failed, ""},
		"given up, and a copy": {func(t *testing.T, w *world) { w.buried(tier.Primary); w.store(t, tier.Backup, "RIFF", true) }, ledger.Partial, "backup"},
		"a store is away": {func(t *testing.T, w *world) {
			w.store(t, tier.Backup, "RIFF", true)
			w.stores[tier.Primary].Before(memstore.Open, memstore.Always(errAway))
		}, ledger.Partial, "backup"},
		"Redis and a store are away": {func(_ *testing.T, w *world) {
			w.accepted()
			w.Record = func(context.Context, string) (ledger.Record, error) { return ledger.Record{}, errAway }
			w.stores[tier.Primary].Before(memstore.Open, memstore.Always(errAway))
		}, ledger.Pending, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c.world(t, w)
			r, err := w.Find(t.Context(), "emea/rec-1")
			var sides []string
			for _, t := range tier.All() {
				if s := r.Side(t); s != nil && s.Key == "recordings/emea/rec-1.wav" && s.Bucket == w.stores[t].Bucket() && !s.Timestamp.IsZero() {
					sides = append(sides, t.String())
				}
			}
			if err != nil || r.Status != c.status || strings.Join(sides, " ") != c.sides || r.RecordingID != "rec-1" || r.IdempotencyKey != "emea/rec-1" {
				t.Errorf("got %+v, %v; want %s, copies in %q", r, err, c.status, c.sides)
			}
			if len(sides) > 0 && (r.Size != 4 || r.SHA256 != digest.Of([]byte("RIFF")).SHA256) {
				t.Errorf("got %d bytes, %s", r.Size, r.SHA256)
			}
			if !slices.IsSortedFunc(r.Timeline, func(a, b Entry) int { return a.At.Compare(*b.At) }) || len(r.Timeline) == 0 {
				t.Errorf("timeline %+v", r.Timeline)
			}
		})
	}
}

func (w *world) buried(t tier.Tier) {
	w.Letters = func(context.Context, string) ([]letters.Full, error) {
		return []letters.Full{{Letter: letters.Letter{Tier: t, Reason: queue.SourceGone, DeadAt: time.Unix(2000, 0)}}}, nil
	}
}

func TestOnlyWhatAllDoNotKnowIsUnknown(t *testing.T) {
	if _, err := newWorld().Find(t.Context(), "emea/rec-1"); !errors.Is(err, ErrUnknown) {
		t.Errorf("all answered: got %v", err)
	}
	for name, away := range map[string]func(*world){
		"Redis": func(w *world) {
			w.Record = func(context.Context, string) (ledger.Record, error) { return ledger.Record{}, errAway }
		},
		"the stream": func(w *world) {
			w.Stream = func(context.Context, string) (Recording, error) { return Recording{}, errAway }
		},
		"letters": func(w *world) {
			w.Letters = func(context.Context, string) ([]letters.Full, error) { return nil, errAway }
		},
		"a store": func(w *world) { w.stores[tier.Backup].Before(memstore.Open, memstore.Always(errAway)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			away(w)
			if _, err := w.Find(t.Context(), "emea/rec-1"); !errors.Is(err, ErrUnanswered) || errors.Is(err, ErrUnknown) {
				t.Errorf("got %v", err)
			}
		})
	}
}
