package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// misbehaviour is a source that fails, and what must become of its recording: a dead letter of that reason in each tier,
// or, where reason is empty, two copies.
type misbehaviour struct {
	name   string
	spec   platform.Spec
	edit   func(*platform.Event)
	reason string
}

// tooLarge is one byte more than the programs of this test take.
const tooLarge = 24*mib + 1

// misbehaviours are all that the platform can do wrong.
func misbehaviours() []misbehaviour {
	sized := func(size int64, f platform.Faults) platform.Spec {
		return platform.Spec{Size: size, SendSize: true, Faults: f}
	}
	unsized := func(size int64, f platform.Faults) platform.Spec { return platform.Spec{Size: size, Faults: f} }
	return []misbehaviour{
		{name: "404", spec: sized(mib, platform.Faults{Status: http.StatusNotFound}), reason: "source_gone"},
		{name: "410", spec: sized(mib, platform.Faults{Status: http.StatusGone}), reason: "source_gone"},
		{name: "403", spec: sized(mib, platform.Faults{Status: http.StatusForbidden}), reason: "source_gone"},
		{name: "401", spec: sized(mib, platform.Faults{Status: http.StatusUnauthorized}), reason: "source_gone"},
		{name: "expired-link", spec: platform.Spec{Size: mib, LinkTTL: -time.Hour}, reason: "source_gone"},
		{name: "login-page", spec: sized(mib, platform.Faults{HTML: true}), reason: "source_unusable"},
		{name: "login-page-unsized", spec: unsized(mib, platform.Faults{HTML: true}), reason: "source_unusable"},
		{name: "other-magic", spec: unsized(mib, platform.Faults{WrongMagic: true}), reason: "source_unusable"},
		{name: "no-length", spec: unsized(mib, platform.Faults{Chunked: true}), reason: "source_unusable"},
		{name: "gzip", spec: unsized(mib, platform.Faults{Gzip: true}), reason: "source_unusable"},
		{name: "cleanly-cut-without-length", spec: sized(mib, platform.Faults{Chunked: true, End: platform.Truncated, EndAt: mib / 2}), reason: "source_unusable"},
		{name: "twice-the-promised-size", spec: sized(2*mib, platform.Faults{PromisedSize: mib}), reason: "source_unusable"},
		{name: "half-the-promised-size", spec: sized(mib, platform.Faults{PromisedSize: 2 * mib}), reason: "source_unusable"},
		{name: "other-sha256", spec: platform.Spec{Size: mib, Expect: platform.ExpectAbsent}, edit: claimOtherBytes, reason: "source_unusable"},
		{name: "too-large", spec: platform.Spec{Size: tooLarge, SendSize: true, Expect: platform.ExpectAbsent}, reason: "source_unusable"},
		{name: "too-large-unsized", spec: platform.Spec{Size: tooLarge, SendSHA256: true, Expect: platform.ExpectAbsent, Faults: platform.Faults{Chunked: true}}, reason: "source_unusable"},
		{name: "too-many-redirects", spec: sized(mib, platform.Faults{Redirects: 4}), reason: "attempts_exhausted"},
		{name: "always-truncated", spec: sized(mib, platform.Faults{End: platform.Truncated, EndAt: mib / 2}), reason: "attempts_exhausted"},
		{name: "always-stalled", spec: sized(mib, platform.Faults{End: platform.Stalled, EndAt: mib / 2}), reason: "attempts_exhausted"},
		{name: "always-500", spec: sized(mib, platform.Faults{Status: http.StatusInternalServerError}), reason: "attempts_exhausted"},

		{name: "truncated-twice", spec: sized(mib, platform.Faults{End: platform.Truncated, EndAt: mib / 2, Times: 2})},
		{name: "reset-twice", spec: sized(mib, platform.Faults{End: platform.Reset, EndAt: mib / 2, Times: 4})},
		{name: "stalled-once", spec: sized(mib, platform.Faults{End: platform.Stalled, EndAt: mib / 2, Times: 2})},
		{name: "500-twice", spec: sized(mib, platform.Faults{Status: http.StatusInternalServerError, Times: 4})},
		{name: "429-once", spec: sized(mib, platform.Faults{Status: http.StatusTooManyRequests, RetryAfter: time.Second, Times: 2})},
		{name: "404-once", spec: sized(mib, platform.Faults{Status: http.StatusNotFound, Times: 2})},
		{name: "login-page-once", spec: sized(mib, platform.Faults{HTML: true, Times: 2})},
		{name: "redirected", spec: sized(mib, platform.Faults{Redirects: 3})},
		{name: "no-length-but-sha256", spec: platform.Spec{Size: mib, SendSHA256: true, Faults: platform.Faults{Chunked: true}}},
		{name: "no-length-but-size", spec: sized(mib, platform.Faults{Chunked: true})},
		{name: "changed-once", spec: platform.Spec{
			Size: 20 * mib, SendSize: true, Expect: platform.ExpectStored, Faults: platform.Faults{Reencoded: true, After: 1, Times: 1},
		}},
		{name: "no-ranges", spec: sized(3*mib, platform.Faults{NoRanges: true})},
	}
}

// claimOtherBytes lets an event name a sha256 that the media do not have.
func claimOtherBytes(e *platform.Event) { e.SHA256 = fmt.Sprintf("%064x", 1) }

// given sources that misbehave in every way, when their webhooks come, then nothing wrong is ever stored: each recording
// ends in the dead letters of both tiers, for the contract's reason, or, if the fault passes, in both stores.
func TestFaultySources(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 33}, env: map[string]string{
		"TWINREEL_RETRY_BASE": "50ms", "TWINREEL_RETRY_CAP": "1s", "TWINREEL_SOURCE_STALL_TIMEOUT": "2s",
		"TWINREEL_MAX_RECORDING_BYTES": "24MiB", "TWINREEL_RANGE_THRESHOLD": "2MiB", "TWINREEL_PART_BYTES": "5MiB", "TWINREEL_MAX_ATTEMPTS": "5",
	}})
	all := misbehaviours()
	want, stored := make(map[string]string), 0 // reason by "tier key"
	for _, m := range all {
		m.spec.ID = "rec-" + m.name
		r := b.add(m.spec)
		var edits []func(*platform.Event)
		if m.edit != nil {
			edits = append(edits, m.edit)
		}
		b.send(r, edits...)
		if m.reason == "" {
			stored++
			continue
		}
		want["primary "+r.Key()], want["backup "+r.Key()] = m.reason, m.reason
	}
	stored += b.servedMeanwhile(len(want))
	b.settle()
	b.sound(stored)
	b.reasons(want)
	b.failed("rec-404", "rec-login-page")
}

// servedMeanwhile lets the source host serve other recordings until there are that many dead letters: only then do its
// errors count against the recordings that they befall. It returns how many others it served.
func (b *bed) servedMeanwhile(letters int) (served int) {
	b.t.Helper()
	b.eventually(90*time.Second, "the dead letters are there", func(ctx context.Context) error {
		b.send(b.add(platform.Spec{Size: 4096, SendSize: true}))
		served++
		list, err := b.fleet.Letters(ctx)
		if err == nil && len(list) < letters {
			err = fmt.Errorf("%d of %d: %+v", len(list), letters, list)
		}
		return err
	})
	return served
}

// reasons holds the open dead letters against what they must be: the reason by "tier key".
func (b *bed) reasons(want map[string]string) {
	b.t.Helper()
	list, err := b.fleet.Letters(b.t.Context())
	b.must(err)
	got := make(map[string]string)
	for _, l := range list {
		got[l.Tier+" "+l.IdempotencyKey] = l.Reason
		if l.Attempts < 1 || l.DeadAt == "" || l.Error == "" {
			b.t.Errorf("letter %+v does not say how it came to be", l)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if got[k] != want[k] {
			b.t.Errorf("%s: dead letter %q, want %q", k, got[k], want[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[k]; !ok {
			b.t.Errorf("%s: dead letter %q, want none", k, got[k])
		}
	}
}

// failed holds the records of recordings that neither tier has.
func (b *bed) failed(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		r, err := b.show(key)
		b.must(err)
		if r.Status != "failed" || r.PrimaryStorage != nil || r.BackupStorage != nil || r.RetryCount < 2 {
			b.t.Errorf("record of %s: %+v, want failed after some retries", key, r)
		}
	}
}
