// Package erasure sees to it that a recording that was erased on purpose is never brought back. Twinreel itself deletes
// nothing in a store: who may does that; a tombstone keeps anybody from repairing, fetching, importing or replaying it.
//
// It is said in three places, because each serves somebody else: the audit log, for ever, from which the others are made
// again after JetStream was lost; the bucket twinreel-tombstones, for the reconciler and its operators; and the digest
// entry {"forgotten":true}, which is all that the workers may read, and which is never purged.
package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// ErrNone is returned for a recording that nobody has forgotten.
var ErrNone = errors.New("not forgotten")

// tries is how often a change is repeated when somebody else was quicker.
const tries = 16

// Tombstone says who had a recording forgotten, when, and for which case.
type Tombstone struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Case   string    `json:"case"`
	Reason string    `json:"reason"`
}

// Stones are the tombstones, and the digest entries that go with them. It is safe for concurrent use, by several
// processes. Errors but ErrNone are faults: it is not known then, and whoever asks must not act as if it were not so.
type Stones struct {
	js             jetstream.JetStream
	tombs, digests jetstream.KeyValue
	peers          jetstream.KeyValue // the mirror of the peer region's; nil: there is none
}

// Open opens them. queue.ErrNotProvisioned.
func Open(ctx context.Context, js jetstream.JetStream) (*Stones, error) {
	s := &Stones{js: js}
	for name, into := range map[string]*jetstream.KeyValue{queue.Tombstones: &s.tombs, queue.Digests: &s.digests} {
		kv, err := js.KeyValue(ctx, name)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			return nil, fmt.Errorf("bucket %s: %w", name, queue.ErrNotProvisioned)
		}
		if err != nil {
			return nil, s.unanswered("open the bucket "+name, err)
		}
		*into = kv
	}
	var err error
	if s.peers, err = js.KeyValue(ctx, queue.PeerTombstones); err != nil && !errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, s.unanswered("open the bucket "+queue.PeerTombstones, err)
	}
	return s, nil
}

// Find returns the recording's tombstone, also one that was set in the peer region. ErrNone. Where only the digest entry says
// that it was forgotten, since the tombstones were lost, the tombstone is empty.
func (s *Stones) Find(ctx context.Context, key string) (Tombstone, error) {
	got, err := s.tombs.Get(ctx, event.HashKey(key))
	if errors.Is(err, jetstream.ErrKeyNotFound) && s.peers != nil {
		got, err = s.peers.Get(ctx, event.HashKey(key))
	}
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		if _, forgotten, err := s.entry(ctx, event.HashKey(key)); err != nil || forgotten {
			return Tombstone{}, err
		}
		return Tombstone{}, ErrNone
	}
	if err != nil {
		return Tombstone{}, s.unanswered("read the tombstone", err)
	}
	var t Tombstone
	_ = json.Unmarshal(got.Value(), &t) // whatever it says: it is there
	return t, nil
}

// Known reports whether the recording was forgotten.
func (s *Stones) Known(ctx context.Context, key string) (bool, error) {
	_, err := s.Find(ctx, key)
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	return err == nil, err
}

// Hashes returns the hashes (event.HashKey) of all recordings that have a tombstone, for who has to look at many. Erasures
// are few: some hundred bytes for each.
func (s *Stones) Hashes(ctx context.Context) (map[string]struct{}, error) {
	out := map[string]struct{}{}
	prefix := "$KV." + queue.Tombstones + "."
	err := scan.Stream(ctx, s.js, queue.BucketStream(queue.Tombstones), scan.Range{Headers: true}, func(m scan.Message) error {
		if m.Header.Get("KV-Operation") == "" {
			out[strings.TrimPrefix(m.Subject, prefix)] = struct{}{}
		}
		return nil
	})
	if err != nil {
		return nil, s.unanswered("read the bucket "+queue.Tombstones, err)
	}
	return out, nil
}

// set sets the tombstone, unless there is one: the first stays, whoever asks again.
func (s *Stones) set(ctx context.Context, hash string, t Tombstone) (made bool, err error) {
	body, err := json.Marshal(t)
	if err != nil {
		return false, fmt.Errorf("encode a tombstone: %w", err)
	}
	_, err = s.tombs.Create(ctx, hash, body)
	switch {
	case errors.Is(err, jetstream.ErrKeyExists):
		return false, nil
	case err != nil:
		return false, s.unanswered("set the tombstone", err)
	}
	return true, nil
}

// forget sets the digest entry to {"forgotten":true}, whatever stands there, and returns what stood there before. It is
// written at the revision that was read, so that nobody's answer is lost: a worker that agreed before reads the entry
// again after its commit, finds it changed, and reports that instead of going on.
func (s *Stones) forget(ctx context.Context, hash string) (before *digest.Entry, made bool, err error) {
	body, err := digest.Entry{Forgotten: true}.Encode()
	if err != nil {
		return nil, false, err
	}
	for range tries {
		got, forgotten, err := s.entry(ctx, hash)
		if err != nil || forgotten {
			return nil, false, err
		}
		if got == nil {
			_, err = s.digests.Create(ctx, hash, body)
		} else {
			_, err = s.digests.Update(ctx, hash, body, got.Revision())
		}
		if lost(err) {
			continue
		}
		if err != nil {
			return nil, false, s.unanswered("set the digest entry", err)
		}
		return parsed(got), true, nil
	}
	return nil, false, s.unanswered("set the digest entry", fmt.Errorf("others were quicker %d times", tries))
}

// entry returns the digest entry as it stands, nil if there is none, and whether it says that the recording was forgotten.
func (s *Stones) entry(ctx context.Context, hash string) (got jetstream.KeyValueEntry, forgotten bool, err error) {
	got, err = s.digests.Get(ctx, hash)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, s.unanswered("read the digest entry", err)
	}
	e := parsed(got)
	return got, e != nil && e.Forgotten, nil
}

// parsed is an entry as it can be read, nil if it cannot.
func parsed(got jetstream.KeyValueEntry) *digest.Entry {
	if got == nil {
		return nil
	}
	e, err := digest.ParseEntry(got.Value())
	if err != nil {
		return nil
	}
	return &e
}

// lost says that somebody else was quicker.
func lost(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence
}

func (s *Stones) unanswered(what string, err error) error {
	return fault.New(fault.Unavailable, fault.Queue, what, queue.Refused(s.js.Conn(), err))
}
