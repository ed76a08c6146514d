package scrub

import (
	"context"
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
				if b.paper.count() != 0 || len(b.paper.kept(event.AuditQuarantined, tier.Primary)) != 0 {
					t.Errorf("%d notes, %+v", b.paper.count(), b.paper.kept(event.AuditQuarantined, tier.Primary))
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
