package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/tier"
)

// ViewEvery is how often a worker tells its view again; on a change it tells it at once. A view that is not renewed
// lapses after a minute.
const ViewEvery = 10 * time.Second

// pausedKey is the last token of the key by which an operator pauses a tier. No instance has this name: they end in a
// random suffix.
const pausedKey = "paused"

// Board is where workers tell how they see their store, and operators pause a tier: the bucket twinreel-tiers.
type Board struct {
	bucket *Bucket
}

// NewBoard returns the board on the connection.
func NewBoard(nc *nats.Conn, js jetstream.JetStream) *Board {
	return &Board{bucket: NewBucket(nc, js, Tiers)}
}

// Tell publishes an instance's view of tier t.
func (b *Board) Tell(ctx context.Context, t tier.Tier, instance string, v tier.View) error {
	return put(ctx, b.bucket.Put, t.String()+"."+instance, v)
}

// Withdraw takes an instance's view back, when it stops.
func (b *Board) Withdraw(ctx context.Context, t tier.Tier, instance string) error {
	return b.drop(ctx, t.String()+"."+instance)
}

// Pause pauses tier t until Resume: it never lapses.
func (b *Board) Pause(ctx context.Context, t tier.Tier, p tier.Pause) error {
	return put(ctx, b.bucket.Keep, t.String()+"."+pausedKey, p)
}

// Resume ends the pause of tier t, if there is one.
func (b *Board) Resume(ctx context.Context, t tier.Tier) error {
	return b.drop(ctx, t.String()+"."+pausedKey)
}

func put(ctx context.Context, set func(context.Context, string, []byte) error, key string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("tell the board: %w", err)
	}
	if err := set(ctx, key, body); err != nil {
		return fault.New(fault.Unavailable, fault.Queue, "tell the board", err)
	}
	return nil
}

func (b *Board) drop(ctx context.Context, key string) error {
	if err := b.bucket.Drop(ctx, key); err != nil {
		return fault.New(fault.Unavailable, fault.Queue, "take back from the board", err)
	}
	return nil
}

// Standings is the standing of each tier. It has an entry for both.
type Standings map[tier.Tier]tier.Standing

// Read returns what stands on the board now. The error is ErrNotProvisioned where there is no board.
func (b *Board) Read(ctx context.Context) (Standings, error) {
	values, err := b.bucket.Values(ctx, ">")
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return newNotes().next(values, now).standings(now), nil
}
