package scrub

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

// flipped is body with one bit of it changed.
func flipped(body []byte) []byte {
	out := slices.Clone(body)
	out[len(out)/2] ^= 4
	return out
}

func TestACopyOfOtherBytesIsReportedWithTheWordWhichIsGood(t *testing.T) {
	const id = "rec-1"
	agreed := media(1, 1000)
	put := func(of tier.Tier, body []byte) func(*bed, string) {
		return func(b *bed, key string) { b.stores[of].Plant(key, memstore.Object{Body: body}) }
	}
	sidecar := func(of tier.Tier, body []byte) func(*bed, string) {
		return func(b *bed, _ string) {
			_, s := sidecarOf(b.t, id, body)
			b.stores[of].Plant(event.SidecarKey(id), memstore.Object{Body: s})
		}
	}
	both := func(fs ...func(*bed, string)) func(*bed, string) {
		return func(b *bed, key string) {
			for _, f := range fs {
				f(b, key)
			}
		}
	}
	rotten := put(tier.Primary, flipped(agreed))
	for name, c := range map[string]struct {
		harm   func(b *bed, key string)
		kind   string
		says   []string // of primary's copy
		backup bool     // backup's differs, too
	}{
		"a bit flips": {rotten, "checksum_differs", []string{
			"read twice: 1000 bytes of sha256 " + digest.Of(flipped(agreed)).SHA256 + "; its sidecar names 1000 bytes of sha256 " + digest.Of(agreed).SHA256,
			"backup's copy is good, it agrees with both sidecars",
		}, false},
		"replaced, with other metadata": {func(b *bed, key string) {
			b.stores[tier.Primary].Plant(key, memstore.Object{Body: media(9, 1000), ContentType: "text/plain", NoChecksum: true})
		}, "checksum_differs", []string{"backup's copy is good"}, false},
		"truncated":     {put(tier.Primary, agreed[:999]), "size_differs", []string{"read twice: 999 bytes of", "backup's copy is good"}, false},
		"emptied":       {put(tier.Primary, nil), "size_differs", []string{"read twice: 0 bytes of", "backup's copy is good"}, false},
		"longer":        {put(tier.Primary, media(1, 5000)), "size_differs", []string{"read twice: 5000 bytes, whose first 1001 have", "backup's copy is good"}, false},
		"both the same": {both(rotten, put(tier.Backup, flipped(agreed))), "checksum_differs", []string{"backup's copy has the same bytes: no good copy is known"}, true},
		"both, other bytes": {both(rotten, put(tier.Backup, media(7, 1000))), "checksum_differs", []string{
			"backup's copy differs, too (sha256 " + digest.Of(media(7, 1000)).SHA256 + "): no good copy is known",
		}, true},
		"the sibling has none": {both(rotten, func(b *bed, key string) { b.stores[tier.Backup].Lose(key) }), "checksum_differs", []string{
			"backup has no copy: no good copy is known",
		}, false},
		"the sibling has no sidecar": {both(rotten, func(b *bed, _ string) { b.stores[tier.Backup].Lose(event.SidecarKey(id)) }), "checksum_differs", []string{
			"backup: it has no sidecar", "backup's copy is good, it agrees with primary's sidecar",
		}, false},
		"the sibling's sidecar is none": {both(rotten, func(b *bed, _ string) {
			b.stores[tier.Backup].Plant(event.SidecarKey(id), memstore.Object{Body: []byte("?")})
		}), "checksum_differs", []string{"backup: its sidecar cannot be read", "backup's copy is good, it agrees with primary's sidecar"}, false},
		"the sibling cannot be read": {both(rotten, func(b *bed, key string) {
			b.stores[tier.Backup].Before(memstore.Open, func(_ context.Context, c memstore.Call) error {
				if c.Key == key {
					return away()
				}
				return nil
			})
		}), "checksum_differs", []string{"backup has a copy that cannot be read: no good copy is known"}, false},
		"its sidecar was changed": {sidecar(tier.Primary, media(9, 1000)), "checksum_differs", []string{
			"the sidecars differ: this copy agrees with backup's alone, so neither sidecar is proof", "backup's copy agrees with backup's alone",
		}, false},
		"the sibling's sidecar was changed": {both(rotten, sidecar(tier.Backup, media(9, 1000))), "checksum_differs", []string{
			"the sidecars differ: this copy agrees with neither", "backup's copy agrees with primary's alone",
		}, true},
		"its sidecar contradicts itself": {func(b *bed, _ string) {
			o, _ := b.stores[tier.Primary].Object(event.SidecarKey(id))
			crc := func(p []byte) string { return digest.EncodeCRC64(digest.CRC64(p)) }
			o.Body = []byte(strings.Replace(string(o.Body), crc(agreed), crc(flipped(agreed)), 1))
			b.stores[tier.Primary].Plant(event.SidecarKey(id), o)
		}, "checksum_differs", []string{"crc64nvme " + digest.EncodeCRC64(digest.CRC64(agreed)), "crc64nvme " + digest.EncodeCRC64(digest.CRC64(flipped(agreed)))}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t)
				key := b.store(id, agreed)
				b.store("rec-2", media(2, 1000))
				c.harm(b, key)
				object, _ := b.stores[tier.Primary].Object(key)
				b.runFor(10 * time.Hour)

				d, noted := b.paper.note(id, tier.Primary)
				if !noted || d.Kind != c.kind || d.Tier != "primary" || d.ObjectKey != key || !d.Read {
					t.Fatalf("noted %+v", d)
				}
				for _, says := range c.says {
					if !strings.Contains(d.Evidence, says) {
						t.Errorf("evidence %q\nlacks %q", d.Evidence, says)
					}
				}
				if len(d.Evidence) > quarantine.MaxEvidence {
					t.Errorf("%d bytes of evidence", len(d.Evidence))
				}
				if _, too := b.paper.note(id, tier.Backup); too != c.backup {
					t.Errorf("backup's noted: %v", too)
				}
				a := b.paper.kept(event.AuditQuarantined, tier.Primary)
				if len(a) != 1 || a[0].Data.IdempotencyKey != id || a[0].Data.ObjectKey != key || a[0].Data.ETag != object.ETag || *a[0].Data.Size != int64(len(object.Body)) ||
					a[0].Data.Reason != c.kind+": "+d.Evidence || a[0].Data.Bucket != "bucket-primary" || a[0].Data.By != "reconciler" {
					t.Errorf("audited %+v", a)
				}
				if n := testutil.ToFloat64(b.Metrics.findings.WithLabelValues("primary", c.kind)); n != 1 || b.logged(zap.ErrorLevel, "a copy differs") == 0 {
					t.Errorf("%v findings counted, or nothing logged", n)
				}
				b.wantJudged(tier.Primary, map[Verdict]int{Good: 1, Differs: 1})
			})
		})
	}
}

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
		if b.paper.notes != 2 || first != second || !strings.Contains(first.Evidence, "primary's copy is good") {
			t.Errorf("%d times: %+v, %+v", b.paper.notes, first, second)
		}
		if a := b.paper.kept(event.AuditQuarantined, tier.Backup); len(a) != 2 {
			t.Errorf("audited %d times", len(a))
		}
	})
}

// given what is no difference of a copy, however it looks at first, then nothing is reported, and the turn goes on.
func TestWhatIsNoFinding(t *testing.T) {
	const id = "rec-1"
	agreed := media(1, 1000)
	key, _ := sidecarOf(t, id, agreed)
	primary := func(b *bed) *memstore.Store { return b.stores[tier.Primary] }
	// opened has something done to the media at each time they are opened, the first being 1.
	opened := func(b *bed, do func(n int) error) {
		n := 0
		primary(b).Before(memstore.Open, func(_ context.Context, c memstore.Call) error {
			if c.Key != key {
				return nil
			}
			n++
			return do(n)
		})
	}
	refused := func(err error) func(*bed) {
		return func(b *bed) { opened(b, func(int) error { return err }) }
	}
	for name, c := range map[string]struct {
		harm func(b *bed)
		want Verdict
	}{
		"no sidecar":            {func(b *bed) { primary(b).Lose(event.SidecarKey(id)) }, Unexplained},
		"what is there is none": {func(b *bed) { primary(b).Plant(event.SidecarKey(id), memstore.Object{Body: []byte("{")}) }, Unexplained},
		"another object's":      {func(b *bed) { primary(b).Plant(event.SidecarKey(id), memstore.Object{Body: other(b.t, id)}) }, Unexplained},
		"of a size below nothing": {func(b *bed) {
			o, _ := primary(b).Object(event.SidecarKey(id))
			o.Body = []byte(strings.Replace(string(o.Body), `"size":1000`, `"size":-1`, 1))
			primary(b).Plant(event.SidecarKey(id), o)
		}, Unexplained},
		"removed just then":            {func(b *bed) { opened(b, func(int) error { primary(b).Lose(key); return nil }) }, Gone},
		"denied, the store being well": {refused(storeFault(fault.Denied, http.StatusForbidden)), Unreadable},
		"refused for good":             {refused(storeFault(fault.Permanent, http.StatusBadRequest)), Unreadable},
		"broken again and again":       {refused(away()), Unreadable},
		"its sidecar likewise": {func(b *bed) {
			primary(b).Before(memstore.Open, func(_ context.Context, c memstore.Call) error {
				if c.Key == event.SidecarKey(id) {
					return away()
				}
				return nil
			})
		}, Unreadable},
		"good when it is read again": {func(b *bed) {
			primary(b).Plant(key, memstore.Object{Body: flipped(agreed)})
			opened(b, func(n int) error {
				if n == 2 {
					primary(b).Plant(key, memstore.Object{Body: agreed})
				}
				return nil
			})
		}, Unsteady},
		"other bytes each time": {func(b *bed) {
			opened(b, func(n int) error { primary(b).Plant(key, memstore.Object{Body: media(byte(10+n), 1000)}); return nil })
		}, Unsteady},
		"replaced by the same wrong bytes": {func(b *bed) {
			opened(b, func(int) error { primary(b).Plant(key, memstore.Object{Body: media(9, 1000)}); return nil })
		}, Unsteady},
		"shorter than the store says": {func(b *bed) {
			opened(b, func(int) error { primary(b).Plant(key, memstore.Object{Body: agreed[:10]}); return nil })
			primary(b).Before(memstore.Stat, func(_ context.Context, c memstore.Call) error {
				if c.Key == key {
					primary(b).Plant(key, memstore.Object{Body: agreed})
				}
				return nil
			})
		}, Unsteady},
		"its sidecar replaced just then": {func(b *bed) {
			primary(b).Plant(key, memstore.Object{Body: flipped(agreed)})
			opened(b, func(int) error { primary(b).Lose(event.SidecarKey(id)); return nil })
		}, Unexplained},
		"away for a day": {func(b *bed) {
			began := time.Now()
			for _, op := range []memstore.Op{memstore.Open, memstore.Stat, memstore.List} {
				primary(b).Before(op, func(context.Context, memstore.Call) error {
					if time.Since(began) < 24*time.Hour {
						return away()
					}
					return nil
				})
			}
		}, Good},
		"broken off in the middle": {func(b *bed) { opened(b, func(n int) error { return map[int]error{1: away(), 2: away()}[n] }) }, Good},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t)
				b.store(id, agreed)
				b.store("rec-0", media(2, 1000), tier.Primary)
				b.store("rec-2", media(2, 1000), tier.Primary)
				c.harm(b)
				b.runFor(48 * time.Hour)
				want := map[Verdict]int{Good: 2}
				want[c.want]++
				b.wantJudged(tier.Primary, want)
				if b.paper.notes != 0 || len(b.paper.kept(event.AuditQuarantined, tier.Primary)) != 0 {
					t.Errorf("reported: %+v", b.paper.noted)
				}
				if loud := c.want == Unreadable || c.want == Unsteady; loud != (b.logs.FilterLevelExact(zap.ErrorLevel).Len() == 1) {
					t.Errorf("%d errors logged", b.logs.FilterLevelExact(zap.ErrorLevel).Len())
				}
			})
		})
	}
}

// other is a sidecar of the recording, but of another object of it.
func other(t *testing.T, id string) []byte {
	t.Helper()
	_, b := sidecarOf(t, id, media(1, 1000))
	return []byte(strings.Replace(string(b), "recordings/"+id+".wav", "recordings/"+id+".mp3", 1))
}

// given a store that throttles, when it says how long to wait, then it is left alone for so long, and what it throttles is
// never given up.
func TestAStoreThatThrottlesIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		key := b.store("rec-1", media(1, 1000), tier.Primary)
		slow := storeFault(fault.Throttled, http.StatusServiceUnavailable)
		slow.RetryAfter = 20 * time.Minute
		n := 0
		b.stores[tier.Primary].Before(memstore.Open, func(_ context.Context, c memstore.Call) error {
			if c.Key == key {
				if n++; n <= 20 {
					return slow
				}
			}
			return nil
		})
		stop := b.run()
		defer stop()
		time.Sleep(6 * time.Hour)
		b.wantJudged(tier.Primary, nil)
		if n > 19 {
			t.Errorf("asked %d times in 6 hours", n)
		}
		time.Sleep(2 * time.Hour)
		b.wantJudged(tier.Primary, map[Verdict]int{Good: 1})
	})
}

// given a store that refuses our identity, media and all, then nothing is given up as unreadable.
func TestARefusedIdentityIsNoCopysFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		for i := range 3 {
			b.store(rec(i), media(1, 1000), tier.Primary)
		}
		began := time.Now()
		b.stores[tier.Primary].Before(memstore.Open, func(context.Context, memstore.Call) error {
			if d := time.Since(began); d > time.Hour && d < 5*time.Hour {
				return storeFault(fault.Denied, http.StatusForbidden)
			}
			return nil
		})
		b.Period = 10 * time.Hour // of 3000 bytes: all are read at once, and again in each turn
		b.runFor(30 * time.Hour)
		if b.judged(tier.Primary, Unreadable) != 0 || b.judged(tier.Primary, Good) != 9 {
			t.Errorf("%d unreadable, %d good", b.judged(tier.Primary, Unreadable), b.judged(tier.Primary, Good))
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
				if _, noted := b.paper.note(rec(2), tier.Primary); !noted || b.paper.notes != 1 || len(b.paper.kept(event.AuditQuarantined, tier.Primary)) != 1 {
					t.Errorf("noted %d times, audited %d times", b.paper.notes, len(b.paper.kept(event.AuditQuarantined, tier.Primary)))
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
		if b.paper.notes != maxPending+50 {
			t.Errorf("%d are noted", b.paper.notes)
		}
	})
}

// given an answer that breaks off in the middle, then it is gone on with from there: no byte is hashed twice.
func TestAnAnswerThatBreaksOffIsGoneOnWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		body := media(3, 3*mib)
		key := b.store("rec-1", body, tier.Primary)
		b.anew()
		brittle := &brittle{Reader: b.stores[tier.Primary], key: key, after: mib}
		b.Stores[tier.Primary] = brittle
		b.runFor(time.Hour)
		b.wantJudged(tier.Primary, map[Verdict]int{Good: 1})
		if brittle.opened != 4 || testutil.ToFloat64(b.Metrics.bytes.WithLabelValues("primary")) != 3*mib {
			t.Errorf("opened %d times, %v bytes", brittle.opened, testutil.ToFloat64(b.Metrics.bytes.WithLabelValues("primary")))
		}
	})
}

// given a machine, or a way to the store, that garbles or cuts what is read, while the store says that the object is as it
// was, then the copy is not blamed.
func TestAGarbledReadingIsNoCopysFault(t *testing.T) {
	for name, few := range map[string]bool{"other bytes each time": false, "always the same few": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t)
				key := b.store("rec-1", media(1, 1000), tier.Primary)
				b.Stores[tier.Primary] = &garbling{Reader: b.stores[tier.Primary], key: key, few: few}
				b.runFor(time.Hour)
				b.wantJudged(tier.Primary, map[Verdict]int{Unsteady: 1})
				if b.paper.notes != 0 {
					t.Errorf("noted: %+v", b.paper.noted)
				}
			})
		})
	}
}
