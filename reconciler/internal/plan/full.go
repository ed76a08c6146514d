package plan

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/capacity"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
	"github.com/twinreel/twinreel/reconciler/internal/spool"
)

// The closer look that a full run takes at recordings that seem to be in step: checksums and tags are in no listing, and
// asking for each is somebody's bill. Up to lookAll recordings it looks at all, else at one of turns, another each time.
const (
	lookAll = 20_000
	turns   = 30
)

// Options are how a full run is made.
type Options struct {
	Deep bool // a closer look at every recording
	Turn int  // which of the turns it is
	Last Last // what the last full run counted
}

// Whole compares whole inventories.
func (p *Planner) Whole(ctx context.Context, o Options) (*Plan, error) {
	s, err := p.stand(ctx)
	if err != nil {
		return nil, err
	}
	scope := Full
	if o.Deep {
		scope = Deep
	}
	out := newPlan(scope, p.Dir)
	if err := p.whole(ctx, s, o, out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

func (p *Planner) whole(ctx context.Context, s situation, o Options, out *Plan) error {
	if err := p.room(ctx, o.Last); err != nil {
		return err
	}
	ledger := inventory.NewLedger(p.Dir)
	defer func() { _ = ledger.Close() }()
	if err := p.ledger(ctx, s, ledger); err != nil {
		return err
	}
	bounds, err := ledger.Bounds(min(parts, ledger.Len()/keysPerPart))
	if err != nil {
		return err
	}
	list := func(t tier.Tier) inventory.Lister {
		return inventory.Lister{Store: p.Stores[t], Bounds: bounds, Waits: inventory.Waits(), Pause: p.Pause}
	}
	every := o.Deep || ledger.Len() <= 2*lookAll
	s.due = func(key string) bool { return every || turnOf(key) == o.Turn%turns }
	sv := newSieve(s.rules, p.Dir, s.due)
	defer func() { _ = sv.found.traces.Close() }()
	var n int64
	out.Counts, err = inventory.Merge(list(tier.Primary).Pages(ctx), list(tier.Backup).Pages(ctx), ledger.Pages(), func(r *inventory.Row) error {
		if n++; n%10_000 == 0 {
			p.Progress("comparing", n, int64(ledger.Len()))
		}
		return sv.row(r)
	})
	if err != nil {
		return err
	}
	if err := o.Last.check(out.Counts); err != nil {
		return err
	}
	out.Expected, out.Excused = out.Counts.Ledger/2, sv.excused
	late, err := p.late(ctx, s, ledger)
	if err != nil {
		return err
	}
	return p.look(ctx, s, sv.found, out, func(one Subject) bool {
		switch {
		case one.Entry != nil:
			return true
		case late == nil:
			out.Unheard++
			return false
		}
		return !late[one.Key]
	})
}

// room looks that there is room for the ledger's temporary files: a run that fails for it hours later has asked the stores for
// nothing.
func (p *Planner) room(ctx context.Context, last Last) error {
	stream, err := p.JS.Stream(ctx, queue.Recordings)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("stream %s: %w", queue.Recordings, queue.ErrNotProvisioned)
	}
	if err != nil {
		return fault.New(fault.Unavailable, fault.Queue, "read stream "+queue.Recordings, queue.Refused(p.JS.Conn(), err))
	}
	n := last.recordings(stream.CachedInfo().State.Msgs)
	if err := spool.Room(p.Dir, capacity.Disk(n)); err != nil {
		return fmt.Errorf("a full run over some %d recordings: %w", n, err)
	}
	return nil
}

// turnOf is the turn in which a closer look at the recording is due.
func turnOf(key string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	return int(h.Sum32() % turns)
}

// ledger reads what was acknowledged: RECORDINGS, and what the sealed log says beyond it.
func (p *Planner) ledger(ctx context.Context, s situation, into *inventory.Ledger) error {
	p.Progress("reading the ledger", 0, 0)
	for e, err := range p.Sealed(ctx) {
		if err != nil {
			return err
		}
		if err := into.Add(e); err != nil {
			return err
		}
	}
	if err := into.ReadStream(ctx, p.JS, scan.Range{}, s.floors, s.rules.Now); err != nil || p.Peer == nil {
		return err
	}
	return into.ReadStream(ctx, p.JS, scan.Range{}, s.peers, s.rules.Now)
}

// late returns the recordings that were accepted after the ledger was read: what is stored of them meanwhile is nobody's
// unknown object. nil where the peer region cannot be heard: what is unknown here may be known there.
func (p *Planner) late(ctx context.Context, s situation, l *inventory.Ledger) (map[string]bool, error) {
	out := map[string]bool{}
	read := func(stream string, through uint64, f inventory.Floors) error {
		return scan.Stream(ctx, p.JS, stream, scan.Range{From: through + 1}, func(m scan.Message) error {
			if e, ok := inventory.Read(m, f, s.rules.Now); ok && m.Sequence > through {
				out[e.IdempotencyKey] = true
			}
			return nil
		})
	}
	if err := read(queue.Recordings, l.Through, s.floors); err != nil || p.Peer == nil {
		return out, err
	}
	if err := p.Peer.CaughtUp(ctx); err != nil {
		p.Log.Warn("the other region cannot be heard: objects that are unknown here are left alone", zap.String("error", fault.Text(err)))
		return nil, ctx.Err()
	}
	return out, read(queue.PeerRecordings, l.PeerThrough, s.peers)
}
