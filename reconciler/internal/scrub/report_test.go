package scrub

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

func TestTheSameFindingHasTheSameWordsInEachTurnAndIsAuditedInEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		key := b.store("rec-1", media(1, 1000))
		b.stores[tier.Backup].Plant(key, memstore.Object{Body: media(2, 1000)})
		b.runFor(time.Hour)
		first, _ := b.paper.note("rec-1", tier.Backup)
		b.anew()
		b.runFor(month)
		second, _ := b.paper.note("rec-1", tier.Backup)
		if b.paper.count() != 2 || first != second || !strings.Contains(first.Evidence, "primary's copy is good") {
			t.Errorf("%d times: %+v, %+v", b.paper.count(), first, second)
		}
		if a := b.paper.kept(event.AuditQuarantined, tier.Backup); len(a) != 2 {
			t.Errorf("audited %d times", len(a))
		}
	})
}

// given AUDIT, the quarantine or both that take nothing, when a copy differs, then reading goes on, the place is not
// remembered beyond what nobody knows of, and once they are back each knows of it once.
func TestAFindingIsKeptUntilItIsWrittenDown(t *testing.T) {
	full := errors.New("maximum bytes exceeded")
	for name, c := range map[string]struct{ audit, note error }{"AUDIT": {full, nil}, "the quarantine": {nil, full}, "both": {full, full}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t)
				for i := range 5 {
					b.store(rec(i), media(byte(i), 1000))
				}
				bad := event.ObjectKey(rec(2), "wav")
				b.stores[tier.Primary].Plant(bad, memstore.Object{Body: flipped(media(2, 1000))})
				b.paper.refuse(c.audit, c.note)
				stop := b.run()
				time.Sleep(time.Hour)
				b.wantJudged(tier.Primary, map[Verdict]int{Good: 4, Differs: 1})
				if _, noted := b.paper.note(rec(2), tier.Primary); noted != (c.note == nil) {
					t.Errorf("noted: %v", noted)
				}
				if n := len(b.paper.kept(event.AuditRun, tier.Primary)); n != 0 {
					t.Errorf("the place is remembered %d times, the finding is not", n)
				}
				if b.logged(zap.WarnLevel, "cannot be written down") == 0 {
					t.Error("nobody is told")
				}
				b.paper.refuse(nil, nil)
				time.Sleep(15 * time.Minute)
				stop()
				if _, noted := b.paper.note(rec(2), tier.Primary); !noted || b.paper.count() != 1 || len(b.paper.kept(event.AuditQuarantined, tier.Primary)) != 1 {
					t.Errorf("noted %d times, audited %d times", b.paper.count(), len(b.paper.kept(event.AuditQuarantined, tier.Primary)))
				}
				if runs := b.paper.kept(event.AuditRun, tier.Primary); len(runs) == 0 || runs[len(runs)-1].Data.Counts["differs"] != 1 {
					t.Errorf("remembered %+v", runs)
				}
			})
		})
	}
}

// given a process that dies while its finding is known to nobody, when another goes on, then it is found again.
func TestAFindingThatDiedWithItsProcessIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		for i := range 5 {
			b.store(rec(i), media(byte(i), 1000), tier.Primary)
		}
		b.stores[tier.Primary].Plant(event.ObjectKey(rec(2), "wav"), memstore.Object{Body: flipped(media(2, 1000))})
		b.paper.refuse(errors.New("away"), errors.New("away"))
		b.runFor(time.Hour)
		b.paper.refuse(nil, nil)
		b.anew()
		b.runFor(time.Hour)
		if _, noted := b.paper.note(rec(2), tier.Primary); !noted {
			t.Error("it is not")
		}
	})
}

// given more findings than are kept in memory, when nobody takes them, then reading stops until somebody does.
func TestReadingStopsWhereTooManyFindingsAreKnownToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		for i := range maxPending + 50 {
			key := b.store(rec(i), media(1, 10), tier.Primary)
			b.stores[tier.Primary].Plant(key, memstore.Object{Body: media(2, 10)})
		}
		b.paper.refuse(nil, errors.New("away"))
		stop := b.run()
		defer stop()
		time.Sleep(time.Hour)
		if n := testutil.ToFloat64(b.Metrics.findings.WithLabelValues("primary", "checksum_differs")); n != maxPending {
			t.Errorf("%v findings", n)
		}
		b.paper.refuse(nil, nil)
		time.Sleep(time.Hour)
		if b.paper.count() != maxPending+50 {
			t.Errorf("%d are noted", b.paper.count())
		}
	})
}
