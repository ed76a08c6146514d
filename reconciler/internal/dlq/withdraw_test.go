package dlq

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// stuck is a bed in which an entry is to be withdrawn: both tiers answer that they have nothing, nobody is at work, the
// entry is old, and a letter says that the bytes are others than agreed.
func stuck(t *testing.T) (*bed, name) {
	t.Helper()
	b := newBed(t)
	b.agree()
	b.bury(tier.Primary, queue.DigestConflict, completed(nil))
	b.Now = func() time.Time { return time.Now().Add(withdrawAfter + time.Second) }
	n := name{tier: tier.Primary, key: key}
	b.cases = map[name]*casefile{n: {letters: []letter{{sequence: 1, reason: queue.DigestConflict}}}}
	b.redrives = newRedrives()
	return b, n
}

// entryStands reports whether there is a digest entry.
func (b *bed) entryStands() bool {
	b.t.Helper()
	_, err := b.Digests.Get(b.t.Context(), event.HashKey(key))
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		b.t.Fatal(err)
	}
	return err == nil
}

func TestAnEntryThatNobodyCouldKeepIsWithdrawnAndItsEventSentAgain(t *testing.T) {
	b, n := stuck(t)
	if _, err := b.judge(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	sent := b.sentTo(tier.Primary)
	if b.entryStands() || len(sent) != 1 || sent[0].Data.Reason != "agree_anew" || sent[0].Data.CopyFrom != nil || b.letters() != 1 {
		t.Errorf("entry stands: %v, sent %+v", b.entryStands(), sent)
	}
	if a := b.audited(event.AuditRedriven); len(a) != 1 || a[0].Reason != "agree_anew" {
		t.Errorf("audited %+v", a)
	}
	for _, tr := range tier.All() { // the claims are given back
		if c, err := b.ledger.Claim(t.Context(), key, tr); err != nil || c.State != ledger.Claimed {
			t.Errorf("%s: %+v, %v", tr, c, err)
		}
	}
	if _, err := b.Digests.Create(t.Context(), event.HashKey(key), []byte("{}")); err != nil {
		t.Errorf("nobody can agree anew: %v", err)
	}
}

// Each condition by itself keeps the entry.
func TestAnEntryStandsWhile(t *testing.T) {
	sidecar := memstore.Object{Body: agreed(t).Sidecar}
	object := memstore.Object{Body: []byte("RIFF others")}
	away := memstore.Always(errAway())
	for name, spoil := range map[string]func(*bed){
		"it is young":                            func(b *bed) { b.Now = func() time.Time { return time.Now().Add(withdrawAfter - time.Minute) } },
		"the own store does not answer":          func(b *bed) { b.stores[tier.Primary].Before(memstore.Stat, away) },
		"the sibling does not answer":            func(b *bed) { b.stores[tier.Backup].Before(memstore.Stat, away) },
		"the own sidecar cannot be asked for":    func(b *bed) { b.stores[tier.Primary].Before(memstore.Open, away) },
		"the sibling's cannot":                   func(b *bed) { b.stores[tier.Backup].Before(memstore.Open, away) },
		"the own store has an object":            func(b *bed) { b.stores[tier.Primary].Plant(agreed(b.t).ObjectKey, object) },
		"the sibling has one":                    func(b *bed) { b.stores[tier.Backup].Plant(agreed(b.t).ObjectKey, object) },
		"the own store has a sidecar":            func(b *bed) { b.stores[tier.Primary].Plant(event.SidecarKey(key), sidecar) },
		"the sibling has a sidecar":              func(b *bed) { b.stores[tier.Backup].Plant(event.SidecarKey(key), sidecar) },
		"a worker of the tier is at it":          func(b *bed) { b.claim(tier.Primary) },
		"a worker of the sibling is at it":       func(b *bed) { b.claim(tier.Backup) },
		"the ledger does not answer":             func(b *bed) { b.ledger.SetAway(true) },
		"a redrive is open":                      func(b *bed) { b.redrives.sent(nameOf(tier.Primary), 99) },
		"the last redrive was a short while ago": func(b *bed) { b.cases[nameOf(tier.Primary)].rested = time.Now().Add(24 * time.Hour) },
		"the own store has one by now": func(b *bed) { // between the look and the claim
			b.stores[tier.Primary].Before(memstore.Stat, func(_ context.Context, c memstore.Call) error {
				if c.N == 2 {
					b.stores[tier.Primary].Plant(agreed(b.t).ObjectKey, object)
				}
				return nil
			})
		},
		"the sibling does not answer by now": func(b *bed) { b.stores[tier.Backup].Before(memstore.Stat, memstore.Nth(2, errAway())) },
		"it is another by now": func(b *bed) {
			b.stores[tier.Primary].Before(memstore.Stat, func(ctx context.Context, c memstore.Call) error {
				if c.N == 2 {
					b.rewrite(ctx)
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, n := stuck(t)
			spoil(b)
			_, _ = b.judge(t.Context(), n)
			b.wantRedrives(tier.Primary, 0)
			if !b.entryStands() || b.letters() != 1 {
				t.Error("it was withdrawn")
			}
		})
	}
}

func TestOnlyALetterOfOtherBytesWithdrawsAnEntry(t *testing.T) {
	for _, reason := range []queue.Reason{queue.SourceGone, queue.SourceUnusable, queue.StoreRefused, queue.AttemptsExhausted} {
		b, n := stuck(t)
		b.cases[n].letters[0].reason = reason
		if _, err := b.judge(t.Context(), n); err != nil || !b.entryStands() || len(b.sentTo(tier.Primary)) != 0 {
			t.Errorf("%s: it was withdrawn (%v)", reason, err)
		}
	}
}

func TestAnErasedRecordingsEntryIsNeverWithdrawn(t *testing.T) {
	b, n := stuck(t)
	if _, err := b.Digests.Put(t.Context(), event.HashKey(key), []byte(`{"forgotten":true}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.judge(t.Context(), n); err != nil || !b.entryStands() || len(b.sentTo(tier.Primary)) != 0 {
		t.Errorf("it was brought back (%v)", err)
	}
}

// The program died between the withdrawal and the redrive.
func TestAWithdrawalThatWasBrokenOffIsFinished(t *testing.T) {
	b, n := stuck(t)
	if err := b.Digests.Purge(t.Context(), event.HashKey(key)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.judge(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if sent := b.sentTo(tier.Primary); len(sent) != 1 || sent[0].Data.Reason != "agree_anew" {
		t.Errorf("sent %+v", sent)
	}
}

func nameOf(t tier.Tier) name { return name{tier: t, key: key} }

// claim is a worker at work.
func (b *bed) claim(t tier.Tier) {
	b.t.Helper()
	if c, err := b.ledger.Claim(b.t.Context(), key, t); err != nil || c.State != ledger.Claimed {
		b.t.Fatalf("%+v, %v", c, err)
	}
}

// rewrite sets the entry to the same at another revision.
func (b *bed) rewrite(ctx context.Context) {
	b.t.Helper()
	v, err := agreed(b.t).Encode()
	if err == nil {
		_, err = b.Digests.Put(ctx, event.HashKey(key), v)
	}
	if err != nil {
		b.t.Error(err)
	}
}
