package digest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/testenv"
)

func TestRegionsWithoutAPeersEntryIsAnAgreement(t *testing.T) {
	for _, follow := range []bool{false, true} {
		own := &digest.Memory{}
		suite(t, &digest.Regions{Own: own, Peer: &digest.Memory{}, Stones: &digest.Memory{}, Follow: follow}, own.Purge)
	}
}

// given entries here, at the peer, or in both, when the recording is the peer's or ours, then what must be obeyed is what holds.
func TestWhoseEntryHolds(t *testing.T) {
	gone := digest.Entry{Forgotten: true}
	a, b := entry("a"), entry("b")
	for name, c := range map[string]struct {
		own, peer, stone *digest.Entry
		ours, followed   string // the sha256 that holds, "" for none, "forgotten"
	}{
		"nobody knows it":                        {nil, nil, nil, "", ""},
		"only we do":                             {&a, nil, nil, a.SHA256, a.SHA256},
		"only the peer does":                     {nil, &b, nil, b.SHA256, b.SHA256},
		"both do: each region's own comes first": {&a, &b, nil, a.SHA256, b.SHA256},
		"the peer has forgotten it":              {&a, &gone, nil, "forgotten", "forgotten"},
		"we have forgotten it":                   {&gone, &b, nil, "forgotten", "forgotten"},
		"a tombstone is all that is left there":  {nil, nil, &gone, "", "forgotten"},
	} {
		t.Run(name, func(t *testing.T) {
			own, peer, stones := &digest.Memory{}, &digest.Memory{}, &digest.Memory{}
			key := event.HashKey("rec-1")
			for at, e := range map[*digest.Memory]*digest.Entry{own: c.own, peer: c.peer, stones: c.stone} {
				if e != nil {
					if _, err := at.Agree(t.Context(), key, *e); err != nil {
						t.Fatal(err)
					}
				}
			}
			says := func(r *digest.Regions) string {
				held, err := r.Get(t.Context(), key)
				switch {
				case errors.Is(err, digest.ErrNoEntry):
					return ""
				case err != nil:
					t.Fatal(err)
				case held.Forgotten:
					return "forgotten"
				}
				return held.SHA256
			}
			if got := says(&digest.Regions{Own: own, Peer: peer}); got != c.ours {
				t.Errorf("of ours %.12q holds, want %.12q", got, c.ours)
			}
			if got := says(&digest.Regions{Own: own, Peer: peer, Stones: stones, Follow: true}); got != c.followed {
				t.Errorf("of the peer's %.12q holds, want %.12q", got, c.followed)
			}
		})
	}
}

// given the same bytes agreed on in both regions, each with a sidecar of its own, then both take the same one.
func TestBothRegionsTakeTheSameSidecar(t *testing.T) {
	east, west := &digest.Memory{}, &digest.Memory{}
	key := event.HashKey("rec-1")
	a, b := entry("a"), entry("a")
	a.Sidecar, b.Sidecar = []byte(`{"receivedAt":"1"}`), []byte(`{"receivedAt":"2"}`)
	for at, e := range map[*digest.Memory]digest.Entry{east: b, west: a} {
		if _, err := at.Agree(t.Context(), key, e); err != nil {
			t.Fatal(err)
		}
	}
	for _, follow := range []bool{false, true} {
		for name, r := range map[string]*digest.Regions{"east": {Own: east, Peer: west, Follow: follow}, "west": {Own: west, Peer: east, Follow: follow}} {
			if held, err := r.Get(t.Context(), key); err != nil || string(held.Sidecar) != string(a.Sidecar) {
				t.Errorf("%s, following %v, takes %s, %v", name, follow, held.Sidecar, err)
			}
		}
	}
}

// given an entry of the peer's, when somebody here offers another, then the peer's holds and nothing is written here, nor there;
// when the mirrors do not answer, then nothing is agreed on.
func TestThePeersEntryIsObeyedAndNeverSet(t *testing.T) {
	own, peer := &digest.Memory{}, &digest.Memory{}
	key, ctx := event.HashKey("rec-1"), t.Context()
	if _, err := peer.Agree(ctx, key, entry("b")); err != nil {
		t.Fatal(err)
	}
	r := &digest.Regions{Own: own, Peer: peer}
	held, err := r.Agree(ctx, key, entry("a"))
	if err != nil || held.SHA256 != entry("b").SHA256 || held.Revision != 0 || held.Created {
		t.Fatalf("agreed on %+v, %v", held, err)
	}
	if _, err := own.Get(ctx, key); !errors.Is(err, digest.ErrNoEntry) {
		t.Errorf("an entry here: %v", err)
	}
	side := entry("b")
	side.Sidecar = []byte("{}")
	if held, err := r.Replace(ctx, key, held.Revision, side); err != nil || string(held.Sidecar) != "{}" {
		t.Errorf("replaced: %+v, %v", held, err)
	}
	if now, err := peer.Get(ctx, key); err != nil || string(now.Sidecar) != string(entry("b").Sidecar) {
		t.Errorf("the peer's is now %+v, %v", now, err)
	}
	peer.SetAway(true)
	if _, err := r.Agree(ctx, event.HashKey("rec-2"), entry("a")); err == nil || errors.Is(err, digest.ErrNoEntry) {
		t.Errorf("agreed while the peer's entries cannot be read: %v", err)
	}
	if _, err := r.Get(ctx, event.HashKey("rec-2")); err == nil || errors.Is(err, digest.ErrNoEntry) {
		t.Errorf("got while the peer's entries cannot be read: %v", err)
	}
}

// given tombstones on a real server, then each says that its recording is forgotten, whatever else it says.
func TestTombstonesOfARealBucket(t *testing.T) {
	_, js := testenv.Account(t, "test06")
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "tombstones"})
	if err != nil {
		t.Fatal(err)
	}
	stones := digest.NewTombstones(kv, 5*time.Second)
	if _, err := stones.Get(t.Context(), event.HashKey("rec-1")); !errors.Is(err, digest.ErrNoEntry) {
		t.Errorf("without one: %v", err)
	}
	if _, err := kv.Put(t.Context(), event.HashKey("rec-1"), []byte(`{"by":"ada"}`)); err != nil {
		t.Fatal(err)
	}
	if held, err := stones.Get(t.Context(), event.HashKey("rec-1")); err != nil || !held.Forgotten {
		t.Errorf("with one: %+v, %v", held, err)
	}
}
