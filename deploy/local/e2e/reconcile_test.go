package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/local/internal/outside"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// onceResult is what `reconciler once -o json` prints.
type onceResult struct {
	PlanID    string
	Findings  []struct{ Kind, Tier, IdempotencyKey, ObjectKey, Evidence, Action string }
	Repairs   int
	Remaining int
}

// once makes a run, which must end with that exit code.
func (b *bed) once(code int, args ...string) (r onceResult, all found) {
	b.t.Helper()
	start := time.Now()
	res, err := b.fleet.Command(b.t.Context(), append([]string{"once", "-o", "json"}, args...)...)
	b.must(err)
	if res.Code != code {
		b.t.Fatalf("once %v: exit code %d, want %d\n%.4000s%s", args, res.Code, code, res.Stdout, res.Stderr)
	}
	if err := json.Unmarshal([]byte(res.Stdout), &r); err != nil {
		b.t.Fatalf("once %v: %v in\n%.2000s", args, err, res.Stdout)
	}
	all = found{}
	for _, f := range r.Findings {
		all.add(f.Kind, f.Tier, f.ObjectKey)
	}
	b.t.Logf("once %v: %d findings, %d repairs, %d remaining, in %s; %s", args, len(r.Findings), r.Repairs, r.Remaining, time.Since(start).Round(time.Millisecond), res.Stderr)
	return r, all
}

// want fails the test where a run found something else.
func (b *bed) want(what string, got, want found) {
	b.t.Helper()
	if d := got.difference(want); d != "" {
		b.t.Errorf("%s:%s", what, d)
	}
}

// recordings is how many the test of harm works with: 2,000 are what is promised, fewer show the same.
func (b *bed) recordings(n int) int {
	if s := os.Getenv("TWINREEL_E2E_RECORDINGS"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		b.must(err)
	}
	return n
}

// given recordings in both stores, when somebody deletes, overwrites, truncates and retags behind the reconciler's back,
// adds what nobody knows, and Redis is lost, then a dry run lists exactly that; a run mends what can be mended, and a
// second one is in step, and still lists what must stay as evidence.
func TestWhatIsDoneBehindItsBackIsFoundAndMended(t *testing.T) {
	b := newBed(t, setup{platform: platform.Config{Seed: 61}, env: map[string]string{
		"TWINREEL_RETRY_BASE": "50ms", "TWINREEL_RECONCILE_GRACE": "0s", "TWINREEL_REPAIR_RATE": "500",
	}})
	n := b.recordings(250)
	all := make([]*platform.Recording, n)
	for i := range all {
		all[i] = b.add(platform.Spec{Size: 2000 + int64(i)})
	}
	lost := b.lettersWithoutCause(10)
	_, err := b.platform.Burst(t.Context(), all, platform.BurstOptions{InFlight: 32})
	b.must(err)
	b.settle()
	for _, r := range lost {
		r.SetExpect(platform.ExpectStored)
	}

	want, evidence := found{}, found{}
	for _, r := range lost {
		want.add("missing_backup", "backup", media(r))
	}
	_, got := b.once(3, "--dry-run")
	b.want("before anything is done", got, want)
	b.harm(all, want, evidence)
	b.loseRedis()

	planned, got := b.once(3, "--dry-run")
	b.want("a dry run", got, want)
	if planned.Repairs == 0 || planned.Remaining < len(want)-len(evidence) {
		t.Errorf("it would repair %d, %d remain", planned.Repairs, planned.Remaining)
	}
	carried, got := b.once(3)
	b.want("a run", got, want)
	if carried.PlanID != planned.PlanID || carried.Repairs != planned.Repairs {
		t.Errorf("planned %s with %d repairs, carried out %s with %d", planned.PlanID, planned.Repairs, carried.PlanID, carried.Repairs)
	}
	b.settle()
	b.once(0)
	again, got := b.once(0)
	b.want("a second run", got, evidence)
	if again.Repairs != 0 {
		t.Errorf("it repaired %d", again.Repairs)
	}
	b.noLetters()
	b.onlyEvidence(evidence)
	b.neverBroughtBack(all[n-1], evidence)
	key := b.seal()
	b.neverTakenForAnother(all[n-2], evidence)
	b.proven(key)
}

// neverTakenForAnother has both stores lose a sealed recording that the platform has encoded again since: other bytes do not
// take its place, and when somebody has discarded its letters, no run fetches it again.
func (b *bed) neverTakenForAnother(r *platform.Recording, evidence found) {
	b.t.Helper()
	r.SetFaults(platform.Faults{Reencoded: true})
	r.SetExpect(platform.ExpectAbsent)
	v := b.vandal()
	for _, t := range []string{"primary", "backup"} {
		v.destroy(t, media(r))
		v.destroy(t, sidecar(r))
	}
	want := maps.Clone(evidence)
	want.add("missing_both", "all", media(r))
	carried, got := b.once(3)
	b.want("after both lost a sealed recording", got, want)
	if carried.Repairs != 2 {
		b.t.Errorf("it repaired %d", carried.Repairs)
	}
	b.settle()
	for _, t := range []string{"primary", "backup"} {
		if _, there := b.letters()[fmt.Sprintf("%s %s source_unusable", t, r.Key())]; !there {
			b.t.Errorf("%s did not refuse the other bytes: %v", t, slices.Sorted(maps.Keys(b.letters())))
		}
	}
	b.once(3)
	b.command("dlq", "discard", "--reason", "lost for good, case 12", "--id", r.Key(), "--yes")
	for range 2 {
		again, got := b.once(0)
		b.want("after its letters were discarded", got, want)
		if again.Repairs != 0 {
			b.t.Errorf("it repaired %d", again.Repairs)
		}
	}
	b.onlyEvidence(evidence)
}

// neverBroughtBack has a recording forgotten and deletes it in both stores: two runs and a replay later it is still gone.
func (b *bed) neverBroughtBack(r *platform.Recording, evidence found) {
	b.t.Helper()
	b.command("recording", "forget", r.Key(), "--case", "2026-17", "--reason", "asked for", "--yes")
	v := b.vandal()
	for _, t := range []string{"primary", "backup"} {
		v.destroy(t, media(r))
		v.destroy(t, sidecar(r))
	}
	for range 2 {
		_, got := b.once(0)
		b.want("after a recording was forgotten", got, evidence)
	}
	b.command("dlq", "replay", "--yes")
	b.settle()
	r.SetExpect(platform.ExpectAbsent)
	b.onlyEvidence(evidence)
}

// seal seals the log, and returns the setting with its key.
func (b *bed) seal() (setting string) {
	b.t.Helper()
	var key struct{ PrivateKey string }
	b.must(json.Unmarshal([]byte(b.command("audit", "keygen", "-o", "json")), &key))
	setting = "TWINREEL_AUDIT_KEY=" + key.PrivateKey
	res, err := b.fleet.CommandWith(b.t.Context(), []string{setting}, "once")
	b.must(err)
	if res.Code != 0 {
		b.t.Fatalf("once, with a key: exit code %d: %s", res.Code, res.Stderr)
	}
	return setting
}

// proven proves the sealed log from each store alone, and shows that one flipped byte is found where it is. What the log says
// of a recording is no evidence after that.
func (b *bed) proven(key string) {
	b.t.Helper()
	verify := func(code int, words string, args ...string) {
		b.t.Helper()
		res, err := b.fleet.CommandWith(b.t.Context(), []string{key}, append([]string{"audit", "verify"}, args...)...)
		b.must(err)
		if res.Code != code || !strings.Contains(res.Stdout+res.Stderr, words) {
			b.t.Errorf("audit verify %v: exit code %d, want %d and %q in\n%s%s", args, res.Code, code, words, res.Stdout, res.Stderr)
		}
	}
	verify(0, "")
	v := b.vandal()
	for i, t := range []string{"backup", "primary"} {
		object := v.flip(t, "/tile/8/data/")
		verify(1, object, "--store", t)
		verify(i, "", "--store", []string{"primary", "backup"}[i])
	}
}

// lettersWithoutCause returns recordings that primary has and backup gave up, because the platform had lost their media.
func (b *bed) lettersWithoutCause(n int) []*platform.Recording {
	b.t.Helper()
	b.command("tiers", "pause", "backup", "--reason", "on purpose", "--yes")
	b.eventually(time.Minute, "backup's worker knows of the pause", func(ctx context.Context) error { return b.standsAside(ctx, b.backup) })
	var out []*platform.Recording
	for range n {
		r := b.add(platform.Spec{Size: 3000})
		b.send(r)
		out = append(out, r)
	}
	b.eventually(time.Minute, "primary has them", func(ctx context.Context) error {
		tiers, err := b.fleet.Tiers(ctx)
		if err == nil && !tiers[0].Idle() {
			err = fmt.Errorf("%+v", tiers[0])
		}
		return err
	})
	for _, r := range out {
		r.SetFaults(platform.Faults{Status: http.StatusNotFound})
	}
	b.command("tiers", "resume", "backup", "--yes")
	b.settle()
	if got := len(b.letters()); got != n {
		b.t.Fatalf("%d letters, want %d", got, n)
	}
	return out
}

// harm does what must be found: want is what a run then says, evidence what stays.
func (b *bed) harm(all []*platform.Recording, want, evidence found) {
	b.t.Helper()
	v := b.vandal()
	next := 0
	each := func(n int, f func(i int, r *platform.Recording)) {
		for i := range n {
			f(i, all[next])
			next++
		}
	}
	tier := func(i int) string { return []string{"primary", "backup"}[i%2] }
	for _, t := range []string{"primary", "backup"} {
		each(20, func(i int, r *platform.Recording) {
			v.destroy(t, media(r))
			if i%2 == 0 {
				v.destroy(t, sidecar(r))
			}
			want.add("missing_"+t, t, media(r))
		})
	}
	each(5, func(i int, r *platform.Recording) {
		for _, t := range []string{"primary", "backup"} {
			v.destroy(t, media(r))
			if i%2 == 0 {
				v.destroy(t, sidecar(r))
			}
		}
		want.add("missing_both", "all", media(r))
	})
	differs := func(kind string, body func(r *platform.Recording) []byte) func(int, *platform.Recording) {
		return func(i int, r *platform.Recording) {
			v.write(tier(i), media(r), body(r))
			for _, f := range []found{want, evidence} {
				f.add(kind, tier(i), media(r))
				if tier(i) == "primary" {
					f.add("versions", "primary", media(r))
				}
			}
		}
	}
	each(5, differs("checksum_differs", func(r *platform.Recording) []byte { return []byte(strings.Repeat("x", int(r.Size))) }))
	each(3, differs("size_differs", func(*platform.Recording) []byte { return []byte("RIFF") }))
	each(5, func(i int, r *platform.Recording) {
		v.retag(tier(i), media(r))
		want.add("tags_differ", tier(i), media(r))
		evidence.add("tags_differ", tier(i), media(r))
	})
	each(2, func(i int, r *platform.Recording) {
		v.destroy(tier(i), sidecar(r))
		want.add("metadata_missing", tier(i), sidecar(r))
	})
	for i, key := range []string{"recordings/stranger.wav", "recordings/of/nobody/at/all", "metadata/stranger.json", "elsewhere", "recordings/emea/stranger.mp3"} {
		v.write(tier(i), key, []byte("nobody knows me"))
		want.add("unknown_object", tier(i), key)
		evidence.add("unknown_object", tier(i), key)
	}
}

// onlyEvidence has the independent reader say that nothing is wrong but what must stay.
func (b *bed) onlyEvidence(evidence found) {
	b.t.Helper()
	keys := map[string]bool{}
	for k := range evidence {
		key := strings.Fields(k)[2]
		keys[key] = true
		if name, media := strings.CutPrefix(key, "recordings/"); media { // its sidecar does not say what is there now
			keys["metadata/"+strings.TrimSuffix(name, ".wav")+".json"] = true
		}
	}
	for _, f := range b.compare().Findings {
		switch {
		case f.Kind == outside.Unequal, keys[f.Key]:
		case f.Kind == outside.OpenUpload:
		default:
			b.t.Errorf("the outside reader says: %s", f)
		}
	}
}

// given harm, when runs are killed at every moment of theirs, two are made at once, and two daemons make their own, then it
// ends as if one run had ended undisturbed.
func TestRunsThatAreKilledOrDoubledEndTheSame(t *testing.T) {
	b := newBed(t, setup{platform: platform.Config{Seed: 62}, env: map[string]string{
		"TWINREEL_RETRY_BASE": "50ms", "TWINREEL_RECONCILE_GRACE": "0s", "TWINREEL_REPAIR_RATE": "50",
		"TWINREEL_RECONCILE_INTERVAL": "2s", "TWINREEL_FULL_INTERVAL": "4s",
	}})
	all := make([]*platform.Recording, 110)
	for i := range all {
		all[i] = b.add(platform.Spec{Size: 2000 + int64(i)})
	}
	_, err := b.platform.Burst(t.Context(), all, platform.BurstOptions{InFlight: 16})
	b.must(err)
	b.settle()
	want, evidence := found{}, found{}
	b.harm(all, want, evidence)

	const moments = 12
	start := time.Now()
	b.once(3, "--dry-run")
	whole := time.Since(start) * 2 // with what is sent and confirmed
	for i := range moments {
		b.killCommand(whole*time.Duration(i+1)/moments, "once")
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			res, err := b.fleet.Command(t.Context(), "once")
			if err != nil || res.Code != 0 && res.Code != 3 {
				t.Errorf("one of two runs at once: exit code %d: %s %v", res.Code, res.Stderr, err)
			}
		})
	}
	both.Wait()
	for range 2 {
		_, err := b.fleet.StartReconciler(t.Context())
		b.must(err)
	}
	b.eventually(patience, "a run is in step", func(ctx context.Context) error {
		res, err := b.fleet.Command(ctx, "once")
		if err == nil && res.Code != 0 {
			err = fmt.Errorf("exit code %d: %s", res.Code, res.Stderr)
		}
		return err
	})
	b.settle()
	_, got := b.once(0)
	b.want("at the end", got, evidence)
	b.onlyEvidence(evidence)
	for kind, n := range b.sentAgain() {
		if n > 2 { // a run that was killed between sending and hearing of it may send once more
			t.Errorf("%s was sent %d times", kind, n)
		}
	}
}

// sentAgain counts the redrives in RECORDINGS, by tier and recording.
func (b *bed) sentAgain() map[string]int {
	b.t.Helper()
	out := map[string]int{}
	b.must(b.each(b.t.Context(), "RECORDINGS", func(m *jetstream.RawStreamMsg) {
		var e struct {
			Data struct{ IdempotencyKey string }
		}
		if tier, ok := strings.CutPrefix(m.Subject, "recordings.redrive."); ok && json.Unmarshal(m.Data, &e) == nil {
			out[tier+" "+e.Data.IdempotencyKey]++
		}
	}))
	return out
}
