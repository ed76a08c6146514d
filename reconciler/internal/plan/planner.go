package plan

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
	"github.com/twinreel/twinreel/reconciler/internal/letters"
	"github.com/twinreel/twinreel/reconciler/internal/readback"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
	"github.com/twinreel/twinreel/reconciler/internal/spool"
)

// Planner makes plans. Its fields are set before and not changed.
type Planner struct {
	JS      jetstream.JetStream
	Peer    *Peer              // the other region over the same stores; nil: there is none
	Digests jetstream.KeyValue // the bucket twinreel-digests
	Stores  map[tier.Tier]objstore.Reader
	Board   func(ctx context.Context) (queue.Standings, error)
	// Erased reports whether a recording was forgotten on purpose.
	Erased func(ctx context.Context, key string) (bool, error)
	// Noted reports whether quarantine has the finding already, with the same evidence.
	Noted func(ctx context.Context, f Finding) (bool, error)
	// GivenUp returns the tiers whose dead letter of the recording somebody discarded after a time, with who did, and why.
	GivenUp func(ctx context.Context, key string, after time.Time) (map[tier.Tier]string, error)
	// Sealed yields what the sealed log says was stored, also of recordings that RECORDINGS has let go.
	Sealed func(ctx context.Context) iter.Seq2[inventory.Entry, error]
	// Proven returns what the sealed log proves of the bytes of each of a recording's objects, given what it claims; nil: nobody
	// can tell, and its word is taken.
	Proven   func(ctx context.Context, claimed inventory.Entry) (map[string]inventory.Sealed, error)
	Rules    Rules // Now and Unwell are set by each run
	Now      func() time.Time
	Dir      string                                // for temporary files; "": the system's own place
	Progress func(stage string, done, total int64) // total 0: unknown
	Pause    func(context.Context, time.Duration)  // waits
	Log      *zap.Logger
}

// parts is how many ranges a store's listing is parted into, at most: one for each keysPerPart.
const (
	parts       = 64
	keysPerPart = 50_000
)

// situation is how things stand before the stores are looked at.
type situation struct {
	rules   Rules
	floors  inventory.Floors
	peers   inventory.Floors // of the peer region's events
	letters map[uint64]map[tier.Tier]bool
	seed    maphash.Seed
	due     func(key string) bool // a closer look at the recording is due whatever the listings say
}

// stand finds out how things stand.
func (p *Planner) stand(ctx context.Context) (s situation, err error) {
	s.rules, s.seed, s.due = p.Rules, maphash.MakeSeed(), func(string) bool { return true }
	s.rules.Now, s.rules.Unwell = p.Now(), map[tier.Tier]bool{}
	if s.floors, err = inventory.ReadFloors(ctx, p.JS); err != nil {
		return s, err
	}
	if p.Peer != nil {
		if s.peers, err = inventory.ReadPeerFloors(ctx, p.JS); err != nil {
			return s, err
		}
	}
	standings, err := p.Board(ctx)
	if err != nil {
		return s, err
	}
	for t, one := range standings {
		s.rules.Unwell[t] = one.Weight() == 0
	}
	groups, err := letters.Read(ctx, p.JS)
	if err != nil {
		return s, err
	}
	s.letters = map[uint64]map[tier.Tier]bool{}
	for _, g := range groups {
		l := g.Shown()
		h := maphash.String(s.seed, l.IdempotencyKey)
		if s.letters[h] == nil {
			s.letters[h] = map[tier.Tier]bool{}
		}
		s.letters[h][l.Tier] = true
	}
	return s, nil
}

// examiner looks closely, as things stand.
func (p *Planner) examiner(s situation) *Examiner {
	return &Examiner{
		Source: p.source(), Rules: s.rules, Erased: p.Erased, GivenUp: p.GivenUp, Proven: p.Proven, Due: s.due,
		Reader:  readback.New(),
		Letters: func(key string) map[tier.Tier]bool { return s.letters[maphash.String(s.seed, key)] },
		Pause:   func(ctx context.Context, failures int) { p.Pause(ctx, inventory.Waits().Delay(failures)) },
	}
}

// Since is where in RECORDINGS a run of what is new begins.
type Since struct {
	From uint64        // the oldest event that the last run found unfinished, or the first after it; 0: nobody knows
	Seen uint64        // up to here the last run has looked: of these only what is not confirmed is looked at again
	Day  time.Duration // how far back a run looks where nobody knows
}

// NewOnly looks, by Stat, at the recordings of RECORDINGS that are new or still open.
func (p *Planner) NewOnly(ctx context.Context, since Since) (*Plan, error) {
	s, err := p.stand(ctx)
	if err != nil {
		return nil, err
	}
	r, open, err := p.since(ctx, s, &since)
	if err != nil {
		return nil, err
	}
	out := newPlan(New, p.Dir)
	found := subjects{spool.New(p.Dir, spool.Memory)}
	defer func() { _ = found.traces.Close() }()
	out.Cursor, out.Seen = r.From, since.Seen
	var oldest uint64
	err = scan.Stream(ctx, p.JS, queue.Recordings, r, func(m scan.Message) error {
		out.Seen, out.Cursor = m.Sequence, m.Sequence+1
		e, ok := inventory.Read(m, s.floors, s.rules.Now)
		if !ok {
			return nil
		}
		if oldest == 0 && (s.rules.excused(&e, tier.Primary) || s.rules.excused(&e, tier.Backup) || unfinished(s.floors, m)) {
			oldest = m.Sequence
		}
		if m.Sequence <= since.Seen && !open[hashOf(e.IdempotencyKey)] {
			return nil // looked at before, and confirmed
		}
		return found.add(trace{Key: e.ObjectKey, Entry: &e})
	})
	if err == nil {
		if oldest > 0 {
			out.Cursor = oldest
		}
		err = p.followed(ctx, s, found)
	}
	if err == nil {
		err = p.look(ctx, s, found, out, func(Subject) bool {
			out.Expected++
			return true
		})
	}
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// since is what a run of what is new reads of RECORDINGS, and which recordings both tiers are not yet proven to hold: one
// event that stays unfinished for days must not have all that came after it looked at every hour.
func (p *Planner) since(ctx context.Context, s situation, from *Since) (r scan.Range, open map[string]bool, err error) {
	last, err := p.last(ctx)
	if err != nil {
		return r, nil, err
	}
	if from.From == 0 || from.From > last+1 { // above: the stream was made anew
		from.Seen = 0
		return scan.Range{Since: s.rules.Now.Add(-from.Day)}, nil, nil
	}
	open = map[string]bool{}
	if from.From <= from.Seen {
		err = scan.Stream(ctx, p.JS, queue.BucketStream(queue.Digests), scan.Range{Headers: true}, func(m scan.Message) error {
			if name := strings.TrimPrefix(m.Subject, digestSubject); m.Header.Get("KV-Operation") == "" && len(name) > hashLength {
				open[name[:hashLength]] = true
			}
			return nil
		})
	}
	return scan.Range{From: from.From}, open, err
}

// digestSubject begins the subjects of digest entries. Of their hashes hashLength digits are kept in memory.
const (
	digestSubject = "$KV." + queue.Digests + "."
	hashLength    = 16
)

func hashOf(key string) string { return event.HashKey(key)[:hashLength] }

// last is the newest sequence of RECORDINGS.
func (p *Planner) last(ctx context.Context) (uint64, error) {
	stream, err := p.JS.Stream(ctx, queue.Recordings)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", queue.Recordings, err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}

// unfinished says that a tier has still to do with the event.
func unfinished(f inventory.Floors, m scan.Message) bool {
	return f.Unfinished(tier.Primary, m.Subject, m.Sequence) || f.Unfinished(tier.Backup, m.Subject, m.Sequence)
}

// open yields the events of a stream with which a tier has still to do.
func (p *Planner) open(ctx context.Context, s situation, stream string, f inventory.Floors, yield func(scan.Message, inventory.Entry) error) error {
	lowest := f.Lowest(math.MaxUint64)
	if lowest == math.MaxUint64 {
		return nil
	}
	return scan.Stream(ctx, p.JS, stream, scan.Range{From: lowest + 1}, func(m scan.Message) error {
		e, ok := inventory.Read(m, f, s.rules.Now)
		if !ok || !unfinished(f, m) {
			return nil
		}
		return yield(m, e)
	})
}

// look looks closely at all that was found and due says.
func (p *Planner) look(ctx context.Context, s situation, found subjects, out *Plan, due func(Subject) bool) error {
	total := int64(found.traces.Len())
	x := p.examiner(s)
	defer func() { out.Unread += x.unread.Load() }()
	return x.all(ctx, func(visit func(Subject) error) error {
		return found.all(func(one Subject) error {
			if !due(one) {
				return nil
			}
			out.Looked++
			return visit(one)
		})
	}, func(one Subject, list []Finding, err error) error {
		if err != nil {
			return out.unjudged(ctx, one, err)
		}
		for _, f := range list {
			if err := p.note(ctx, f, out); err != nil {
				return err
			}
		}
		p.Progress("looking closely", out.Looked, total)
		return nil
	})
}

// note takes in a finding, after a look whether it was noted before: what was restored is reported once.
func (p *Planner) note(ctx context.Context, f Finding, out *Plan) error {
	if f.Action != Quarantine && f.Kind != Restored {
		return out.add(f)
	}
	noted, err := p.Noted(ctx, f)
	switch {
	case err != nil:
		return err
	case noted && f.Kind == Restored:
		return nil
	case noted:
		f.Action = Known
	}
	return out.add(f)
}

// ErrShort is wrapped where a listing is much shorter than the last run's.
var ErrShort = errors.New("suspiciously short")

// Last is what the last full run counted in each store; zero: there was none.
type Last struct{ Primary, Backup int64 }

// recordings is how many a full run sorts, at most, as far as can be known before: those of the last run, which the sealed log
// names, and the events of RECORDINGS, which may be the same ones.
func (l Last) recordings(events uint64) int64 {
	const keys = 2 // of a recording: its media and its sidecar
	listed := max(l.Primary, l.Backup) / keys
	return listed + int64(min(events, uint64(math.MaxInt64-listed)))
}

// check stops a run whose listing is much shorter than the last one's: what it left out must not look missing.
func (l Last) check(now inventory.Counts) error {
	for _, c := range []struct {
		t         tier.Tier
		was, here int64
	}{{tier.Primary, l.Primary, now.Primary}, {tier.Backup, l.Backup, now.Backup}} {
		if c.was-c.here > max(capLeast, c.was/capShare) {
			return fmt.Errorf("the listing of %s is %w: %d keys, %d in the last run; if that is as it should be, accept it once with --accept-shorter",
				c.t, ErrShort, c.here, c.was)
		}
	}
	return nil
}

// Busy returns a function that reports whether a tier has still to do with an event of a recording, or an open letter
// names it.
func (p *Planner) Busy(ctx context.Context) (func(key string) bool, error) {
	s, err := p.stand(ctx)
	if err != nil {
		return nil, err
	}
	open := map[uint64]bool{}
	for h := range s.letters {
		open[h] = true
	}
	mark := func(m scan.Message, e inventory.Entry) error {
		open[maphash.String(s.seed, e.IdempotencyKey)] = true
		return nil
	}
	if err := p.open(ctx, s, queue.Recordings, s.floors, mark); err != nil {
		return nil, err
	}
	if p.Peer != nil {
		if err := p.open(ctx, s, queue.PeerRecordings, s.peers, mark); err != nil {
			return nil, err
		}
	}
	return func(key string) bool { return open[maphash.String(s.seed, key)] }, nil
}
