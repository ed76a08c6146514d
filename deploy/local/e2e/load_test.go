package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
)

const mib = 1 << 20

// mixture makes n recordings of all sizes: see platform.Mixture.
func (b *bed) mixture(n int, largest, bend float64, seed uint64) (recordings []*platform.Recording, total int64) {
	b.t.Helper()
	recordings, total, err := b.platform.Mixture(n, largest, bend, seed)
	b.must(err)
	return recordings, total
}

// given 300 recordings of all sizes, a fifth of their webhooks sent twice, when a burst brings 64 webhooks at a time, then
// each recording is in both stores, once, as it was, and nothing is left to do.
func TestLoad(t *testing.T) {
	b := newBed(t, setup{platform: platform.Config{Seed: 31, RetryDelay: 500 * time.Millisecond}})
	recordings, total := b.mixture(300, 64*mib, 1.8, 31)
	watch, err := story.StartWatch(t.Context(), b.stack.NATSAccess)
	b.must(err)
	t.Cleanup(watch.Close)

	start := time.Now()
	report, err := b.platform.Burst(t.Context(), recordings, platform.BurstOptions{
		InFlight: 64, DuplicateShare: 0.2, StartedShare: 0.1, Forged: 5,
	})
	b.must(err)
	if report.Accepted != 300 || report.Duplicate != 60 || report.Failed != 0 || report.ForgedRefused != 5 || report.ForgedTaken != 0 {
		t.Errorf("webhooks: %+v, want 300 accepted, 60 duplicates, 5 forgeries refused and none failed", report)
	}
	b.settle()
	took := time.Since(start)

	b.sound(300)
	b.noLetters()
	b.completed(recordings, 20)
	p50, p99 := b.second(watch, recordings)
	t.Logf("%d recordings, %d MiB, in %.1f s (webhooks answered: p50 %s, p99 %s); second copy after p50 %s, p99 %s; peak memory: ingress %d MiB, worker-primary %d MiB, worker-backup %d MiB",
		len(recordings), total/mib, took.Seconds(), report.P50.Round(time.Millisecond), report.P99.Round(time.Millisecond), p50, p99,
		b.ingress.PeakRSS()/mib, b.primary.PeakRSS()/mib, b.backup.PeakRSS()/mib)
}

// second is how long the recordings waited for their second copy.
func (b *bed) second(watch *story.Watch, recordings []*platform.Recording) (p50, p99 time.Duration) {
	b.t.Helper()
	var waits []time.Duration
	for _, r := range recordings {
		var last time.Time
		for _, tier := range story.Tiers() {
			c, ok := watch.Copy(tier, r.Key())
			if !ok {
				b.t.Errorf("the audit log tells of no copy of %s in %s", r.Key(), tier)
				continue
			}
			if c.Size != r.Size {
				b.t.Errorf("the audit log tells of %d bytes of %s in %s, want %d", c.Size, r.Key(), tier, r.Size)
			}
			last = slices.MaxFunc([]time.Time{last, c.At}, time.Time.Compare)
		}
		waits = append(waits, last.Sub(r.AcknowledgedAt()))
	}
	slices.SortFunc(waits, cmp.Compare[time.Duration])
	at := func(q float64) time.Duration { return waits[int(q*float64(len(waits)-1))].Round(time.Millisecond) }
	return at(0.5), at(0.99)
}

// side is one tier's part of a record.
type side struct {
	Bucket, Key, ETag, VersionID string
	Timestamp                    time.Time
}

// record is what `recording show -o json` prints.
type record struct {
	RecordingID, Status, IdempotencyKey, SHA256 string
	PrimaryStorage, BackupStorage               *side
	RetryCount                                  int
	Retries                                     map[string]int
	Size                                        int64
}

// show asks for a recording's record.
func (b *bed) show(key string) (record, error) {
	res, err := b.fleet.Command(b.t.Context(), "recording", "show", key, "-o", "json")
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal([]byte(res.Stdout), &r); err != nil {
		return r, fmt.Errorf("recording show %s: exit code %d, %q, %s: %w", key, res.Code, res.Stdout, res.Stderr, err)
	}
	return r, nil
}

// completed holds the records of some of the recordings, evenly chosen, against the truth.
func (b *bed) completed(recordings []*platform.Recording, some int) {
	b.t.Helper()
	for i := range min(some, len(recordings)) {
		r := recordings[i*len(recordings)/some]
		got, err := b.show(r.Key())
		b.must(err)
		if got.Status != "completed" || got.SHA256 != r.SHA256() || got.Size != r.Size || got.IdempotencyKey != r.Key() || got.RecordingID != r.ID {
			b.t.Errorf("record %+v, want %s completed with %d bytes, sha256 %s", got, r.Key(), r.Size, r.SHA256())
			continue
		}
		if got.PrimaryStorage == nil || got.BackupStorage == nil {
			b.t.Errorf("record of %s lacks a side: %+v", r.Key(), got)
			continue
		}
		w := b.stack.World()
		for bucket, s := range map[string]*side{w.S3.Bucket: got.PrimaryStorage, w.Azure.Container: got.BackupStorage} {
			if s.Bucket != bucket || s.Key != r.ObjectKey() || s.ETag == "" || s.Timestamp.IsZero() {
				b.t.Errorf("record of %s says %+v of %s", r.Key(), *s, bucket)
			}
		}
		if got.PrimaryStorage.VersionID == "" {
			b.t.Errorf("record of %s names no version in a versioned bucket", r.Key())
		}
	}
}
