package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

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
