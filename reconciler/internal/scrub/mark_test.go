package scrub

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// given a turn that was stopped half way, when another process goes on, then no copy is read again or left out; and one
// that was done stays done until the next is due.
func TestARestartGoesOnWhereTheTurnWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		var keys []string
		for i := range 40 {
			keys = append(keys, b.store(rec(i), media(byte(i), mib)))
		}
		reads := b.reads(tier.Backup)
		began := time.Now()
		b.runFor(month / 2)
		half := b.judged(tier.Backup, Good)
		lists := b.stores[tier.Backup].Calls(memstore.List)
		b.anew()
		b.runFor(month / 4)
		b.anew()
		b.runFor(month/4 - time.Hour)
		if half < 15 || half > 30 {
			t.Errorf("%d copies in half the time", half)
		}
		for _, key := range keys {
			if reads(key) != 1 {
				t.Errorf("%s was read %d times", key, reads(key))
			}
		}
		runs := b.paper.kept(event.AuditRun, tier.Backup)
		if last := runs[len(runs)-1].Data; last.ObjectKey != "" || last.Counts["good"] != 40 || last.Counts["started"] != began.Unix() {
			t.Errorf("the turn's end is remembered as %+v", last)
		}
		if n := b.stores[tier.Backup].Calls(memstore.List); n == lists {
			t.Error("nothing is listed any more")
		}
		b.anew()
		b.runFor(30 * time.Minute)
		b.wantJudged(tier.Backup, nil) // not due before the month is over
		b.anew()
		b.runFor(2 * time.Hour)
		if b.judged(tier.Backup, Good) == 0 {
			t.Error("no next turn")
		}
	})
}

// given a process that dies, when another goes on, then ten minutes' reading is lost at the most.
func TestAPlaceIsRememberedWithoutAFarewell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.Period = 10 * time.Hour
		for i := range 100 {
			b.store(rec(i), media(byte(i), mib), tier.Primary)
		}
		stop := b.run()
		time.Sleep(5 * time.Hour)
		b.paper.refuse(errors.New("dead"), nil)
		dead := b.judged(tier.Primary, Good)
		stop()
		b.paper.refuse(nil, nil)
		body, err := b.paper.last(t.Context(), tier.Primary)
		m, z, ok := parse(body, "bucket-primary")
		if err != nil || !ok || int(m.Verdicts[Good]) < dead-3 || m.After != event.ObjectKey(rec(int(m.Verdicts[Good])-1), "wav") || z.Bytes != 100*mib || z.Keys != 100 {
			t.Errorf("%d read; remembered %+v, %+v, %v, %v", dead, m, z, ok, err)
		}
	})
}

// given a turn that is done for a month to come, when the audit log forgets what is older than a week, then the turn's end is
// still in it.
func TestAPlaceIsRememberedAnewEachDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.store(rec(1), media(1, 100))
		b.runFor(10 * 24 * time.Hour)
		runs := b.paper.kept(event.AuditRun, tier.Primary)
		if n := len(runs); n < 10 || n > 14 || time.Since(runs[n-2].Time) > 25*time.Hour || runs[n-1].Data.Counts["good"] != 1 {
			t.Errorf("%d times: %+v", n, runs)
		}
	})
}

func TestWhatIsRememberedOfSomethingElseIsNotBelieved(t *testing.T) {
	good := Mark{Started: time.Unix(1000, 0), After: "recordings/a.wav"}
	body := func(change func(d *event.AuditData)) []byte {
		d := good.data(tier.Primary, "bucket", Size{})
		change(&d)
		out, err := event.Audit{Kind: event.AuditRun, Tier: "primary", Data: d}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, c := range map[string]struct {
		body []byte
		ok   bool
	}{
		"as it was written":    {body(func(*event.AuditData) {}), true},
		"nothing":              {nil, false},
		"no event":             {[]byte("?"), false},
		"another run's":        {body(func(d *event.AuditData) { d.Reason = "full" }), false},
		"of another bucket":    {body(func(d *event.AuditData) { d.Bucket = "old" }), false},
		"without its numbers":  {body(func(d *event.AuditData) { d.Counts = nil }), false},
		"numbers for nobody":   {body(func(d *event.AuditData) { d.Counts["new"] = 7 }), true},
		"at the end of a turn": {body(func(d *event.AuditData) { d.ObjectKey = "" }), true},
	} {
		if m, _, ok := parse(c.body, "bucket"); ok != c.ok || ok && !m.Started.Equal(good.Started) {
			t.Errorf("%s: %+v, %v", name, m, ok)
		}
	}
}

// given NATS away at the start, when it answers, then the turn goes on where it was: nothing is begun on a guess.
func TestNothingIsReadBeforeThePlaceIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		key := b.store(rec(1), media(1, 100))
		reads := b.reads(tier.Primary)
		var mu sync.Mutex
		down := true
		last := b.Last
		b.Last = func(ctx context.Context, of tier.Tier) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			if down {
				return nil, errors.New("no answer")
			}
			return last(ctx, of)
		}
		stop := b.run()
		defer stop()
		time.Sleep(time.Hour)
		if reads(key) != 0 || b.logged(zap.WarnLevel, "where it was cannot be read") != 2 {
			t.Error("read on a guess, or not said once for each tier")
		}
		mu.Lock()
		down = false
		mu.Unlock()
		time.Sleep(time.Hour)
		if reads(key) != 1 {
			t.Error("not read afterwards")
		}
	})
}
