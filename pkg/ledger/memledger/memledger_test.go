package memledger_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/ledger/ledgertest"
	"github.com/twinreel/twinreel/pkg/ledger/memledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

// clock is a clock that moves when it is told to.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.passed.Load()))
}

func TestMemory(t *testing.T) {
	ledgertest.Run(t, func(*testing.T) ledgertest.Driver {
		c := &clock{}
		l := memledger.New(c.now)
		return ledgertest.Driver{
			Ledger: l,
			Pass:   func(_ *testing.T, _ string, _ tier.Tier, d time.Duration) { c.passed.Add(int64(d)) },
			Forget: func(*testing.T) { l.Clear() },
		}
	})
}

func TestALedgerThatIsAwayAnswersNothingAndForgetsNothing(t *testing.T) {
	c := &clock{}
	l := memledger.New(c.now)
	got, err := l.Claim(t.Context(), "rec-1", tier.Primary)
	if err != nil {
		t.Fatal(err)
	}
	l.SetAway(true)
	for name, err := range ledgertest.Every(t.Context(), l, got.Lease, "rec-1", ledger.Message{Stream: "S", Sequence: 1}) {
		if !fault.Is(err, fault.Unavailable, fault.Ledger) {
			t.Errorf("%s: %v, want a fault of the ledger", name, err)
		}
	}
	l.SetAway(false)
	if err := got.Lease.Renew(t.Context()); err != nil {
		t.Errorf("the lease did not survive: %v", err)
	}
	if _, err := l.Record(t.Context(), "rec-1"); err == nil {
		t.Error("a call that failed has left a record")
	}
}
