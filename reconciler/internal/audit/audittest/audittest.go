// Package audittest makes sealed logs in memory, for the tests of what reads them.
package audittest

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
	"github.com/twinreel/twinreel/reconciler/internal/audit/leaf"
	"github.com/twinreel/twinreel/reconciler/internal/audit/tree"
	"github.com/twinreel/twinreel/reconciler/internal/audit/vault"
)

// Keys returns a new key that signs, and its private key as text.
func Keys(t testing.TB) (checkpoint.Keys, string) {
	t.Helper()
	private, _, err := note.GenerateKey(rand.Reader, "audit.example.com")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := checkpoint.ParseKeys([]string{private})
	if err != nil {
		t.Fatal(err)
	}
	return keys, private
}

// Log is a log that is being sealed into one store.
type Log struct {
	testing.TB
	Store *memstore.Store
	Keys  checkpoint.Keys
	*tree.Builder

	vault *vault.Vault
	at    time.Time
}

// New begins an epoch, made at created, in the store.
func New(t testing.TB, store *memstore.Store, keys checkpoint.Keys, created time.Time) *Log {
	l := &Log{TB: t, Store: store, Keys: keys, vault: vault.New(store, store), at: created}
	l.Builder = tree.New(epoch.Of(created), l, store)
	return l
}

// Put implements tree.Sink.
func (l *Log) Put(ctx context.Context, key string, body []byte) error {
	return l.vault.Put(ctx, key, body)
}

// Flush implements tree.Sink.
func (l *Log) Flush(context.Context) error { return nil }

// Checkpoint implements tree.Sink.
func (l *Log) Checkpoint(ctx context.Context, c checkpoint.Checkpoint) error {
	c.Name = l.Keys.Name()
	signed, err := l.Keys.Sign(c)
	if err != nil {
		return err
	}
	if c.Serial == 1 {
		if err := l.vault.Put(ctx, c.Epoch.Marker(), signed); err != nil {
			return err
		}
	}
	return l.vault.Put(ctx, checkpoint.Key(c.Epoch, c.Serial), signed)
}

// Say adds a leaf of an audit event, a second after the one before.
func (l *Log) Say(kind event.AuditKind, tierName string, d event.AuditData) {
	l.Helper()
	n := uint64(l.Size()) + 1
	l.at = l.at.Add(time.Second)
	msgID := event.DeliveryID(kind, tierName, queue.Recordings, n)
	body, err := event.Audit{Kind: kind, Tier: tierName, MsgID: msgID, Time: l.at, Data: d}.Encode()
	if err != nil {
		l.Fatal(err)
	}
	l.Leaf(leaf.Leaf{Sequence: n, Subject: queue.AuditSubject(string(kind), tierName), Stored: l.at, MsgID: msgID, Body: body})
}

// Leaf adds a leaf.
func (l *Log) Leaf(one leaf.Leaf) {
	l.Helper()
	if err := l.Add(l.Context(), tree.ItemOf(one)); err != nil {
		l.Fatal(err)
	}
}

// Stored adds n leaves of recordings rec-0, rec-1, …, each in both tiers one after the other.
func (l *Log) Stored(n int) {
	l.Helper()
	for range n {
		i := l.Size()
		l.Say(event.AuditStored, tier.All()[i%2].String(), Recording(fmt.Sprintf("rec-%d", i/2)))
	}
}

// Recording returns what is said of a stored recording.
func Recording(key string) event.AuditData {
	size := int64(len(key))
	return event.AuditData{IdempotencyKey: key, ObjectKey: event.ObjectKey(key, "wav"), Size: &size, CRC64NVME: "AAAAAAAAAAA="}
}

// Mark adds a mark, and so seals.
func (l *Log) Mark(reason string) {
	l.Helper()
	l.Say(event.AuditMark, event.AuditAll, event.AuditData{Reason: reason})
}
