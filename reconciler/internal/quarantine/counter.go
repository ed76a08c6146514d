package quarantine

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// Counter counts the open records again and again, and reads only what was changed since it last did. It keeps some 50 bytes for
// each open record. It is not for concurrent use.
type Counter struct {
	book *Book
	open map[[sha256.Size]byte]struct{} // by the hash of the key
	read jetstream.StreamState          // what is counted
	made time.Time                      // when the bucket was created that is counted
}

// Counter returns one that has counted nothing.
func (b *Book) Counter() *Counter { return &Counter{book: b} }

// Count returns how many records are open.
func (c *Counter) Count(ctx context.Context) (open int, err error) {
	name := queue.BucketStream(queue.Quarantine)
	stream, err := c.book.js.Stream(ctx, name)
	if err != nil {
		return 0, unanswered("count", queue.Refused(c.book.js.Conn(), err))
	}
	info := stream.CachedInfo()
	if now := info.State; c.open == nil || !info.Created.Equal(c.made) || now.LastSeq < c.read.LastSeq || now.Msgs < c.read.Msgs {
		// Nothing was counted yet, or the bucket is another, set back, or purged by hand: no message says of what.
		c.open, c.read, c.made = map[[sha256.Size]byte]struct{}{}, jetstream.StreamState{}, info.Created
	}
	if info.State.LastSeq > c.read.LastSeq {
		err = scan.Stream(ctx, c.book.js, name, scan.Range{From: c.read.LastSeq + 1}, c.take)
	}
	if err != nil {
		return 0, err
	}
	c.read = info.State
	return len(c.open), nil
}

// take counts one record as it is now. What is read twice counts once.
func (c *Counter) take(m scan.Message) error {
	key := sha256.Sum256([]byte(m.Subject))
	if deleted(m) {
		delete(c.open, key)
		return nil
	}
	r, err := parse(m.Body)
	if err != nil {
		return err
	}
	if r.Open() {
		c.open[key] = struct{}{}
	} else {
		delete(c.open, key)
	}
	return nil
}
