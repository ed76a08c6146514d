package plan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/evidence"
	"github.com/twinreel/twinreel/reconciler/internal/inventory"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// Peer is the other region over the same stores: what it accepted is in the ledger, too, as far as it has come over.
type Peer struct {
	Digests jetstream.KeyValue // the mirror of its bucket twinreel-digests
	Own     jetstream.JetStream
	Home    jetstream.JetStream // its own
	Wait    time.Duration       // for it to answer, and for what it has accepted to come over
}

// peerLook is between two looks whether all has come over.
const peerLook = 200 * time.Millisecond

// CaughtUp waits until all that the peer has accepted by now has come over. An error says that it cannot be heard, or that it
// takes long.
func (p *Peer) CaughtUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.Wait)
	defer cancel()
	want, err := p.accepted(ctx)
	if err != nil {
		return err
	}
	for {
		here, err := p.Own.Stream(ctx, queue.PeerRecordings)
		if err != nil {
			return fault.New(fault.Unavailable, fault.Queue, "read stream "+queue.PeerRecordings, err)
		}
		have := here.CachedInfo().State.LastSeq
		if have >= want {
			if want, err = p.accepted(ctx); err == nil && want < have {
				err = fault.New(fault.Unavailable, fault.Queue, "read stream "+queue.PeerRecordings, fmt.Errorf("it holds %d events and the other region %d: that began anew, and is not followed", have, want))
			}
			return err
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Unavailable, fault.Queue, "wait for what the other region has accepted", fmt.Errorf("%d of %d events have come over", have, want))
		case <-time.After(peerLook):
		}
	}
}

// accepted is the sequence of the last event that the peer has accepted.
func (p *Peer) accepted(ctx context.Context) (uint64, error) {
	there, err := p.Home.Stream(ctx, queue.Recordings)
	if err != nil {
		return 0, fault.New(fault.Unavailable, fault.Queue, "ask the other region what it has accepted", err)
	}
	return there.CachedInfo().State.LastSeq, nil
}

// errNoMirror says that the peer's mirrors are not there.
var errNoMirror = errors.New("the mirrors of the other region are not there: run reconciler provision")

// NewPeer returns the peer of a region, nil where it has none.
func NewPeer(ctx context.Context, js jetstream.JetStream, of queue.Peer) (*Peer, error) {
	if !of.Known() {
		return nil, nil
	}
	digests, err := js.KeyValue(ctx, queue.PeerDigests)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		err = errNoMirror
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", queue.PeerDigests, err)
	}
	home, err := of.JetStream(js)
	return &Peer{Digests: digests, Own: js, Home: home, Wait: 15 * time.Second}, err
}

// source is who is asked for evidence.
func (p *Planner) source() evidence.Source {
	s := evidence.Source{Digests: p.Digests, Stores: p.Stores}
	if p.Peer != nil {
		s.Peer = p.Peer.Digests
	}
	return s
}

// followed adds what the workers follow of the peer region and have not finished: what is not excused by then fails, or waits
// for a copy.
func (p *Planner) followed(ctx context.Context, s situation, found subjects) error {
	if p.Peer == nil {
		return nil
	}
	return p.open(ctx, s, queue.PeerRecordings, s.peers, func(_ scan.Message, e inventory.Entry) error {
		return found.add(trace{Key: e.ObjectKey, Entry: &e})
	})
}
