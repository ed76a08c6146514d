package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/outside"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// patience bounds a test's every wait for the whole to come to rest. It covers a lease and an AckWait (60 s each) of a
// worker that was killed, on a machine that others use as well.
const patience = 4 * time.Minute

// bed is a whole Twinreel: servers, programs and a platform. Everything ends with its test, and the logs of all programs
// are looked through for secrets.
type bed struct {
	t        *testing.T
	stack    *stack.Stack
	fleet    *fleet.Fleet
	platform *platform.Platform
	secret   string

	// What runs; nil where the test starts the programs itself.
	ingress, primary, backup *fleet.Program
}

// setup says how a bed differs from the usual one.
type setup struct {
	env      map[string]string // for every program
	platform platform.Config
	bare     bool // servers and platform only
}

// newBed starts everything.
func newBed(t *testing.T, s setup) *bed {
	t.Helper()
	b := newBareBed(t, s)
	if s.bare {
		return b
	}
	var err error
	b.ingress, b.primary, b.backup, err = b.fleet.StartAll(t.Context())
	b.must(err)
	b.platform.SetIngressURL(b.ingress.URL())
	return b
}

// newBareBed starts the servers and the platform.
func newBareBed(t *testing.T, s setup) *bed {
	t.Helper()
	tools, err := kit()
	if err != nil {
		t.Fatal(err)
	}
	set, err := tools.Ensure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, secret: rand.Text()}
	b.stack, err = stack.Start(t.Context(), set)
	b.must(err)
	t.Cleanup(func() { b.should(b.stack.Close()) })
	b.fleet, err = fleet.New(fleet.Config{
		Bin: testenv.Need(t, testenv.Bin), Dir: filepath.Join(b.stack.Dir, "programs"), World: b.stack.World(),
		WebhookSecret: b.secret, Env: settings(s.env),
	})
	b.must(err)
	t.Cleanup(b.end)
	s.platform.Secret = b.secret
	b.platform, err = platform.New(s.platform)
	b.must(err)
	return b
}

// settings are what all programs are told: to try again sooner than they would in production.
func settings(over map[string]string) map[string]string {
	env := map[string]string{
		"TWINREEL_RETRY_BASE": "200ms", "TWINREEL_RETRY_CAP": "2s", "TWINREEL_BREAKER_OPEN": "1s", "TWINREEL_PROBE_INTERVAL": "1s",
	}
	maps.Copy(env, over)
	return env
}

// end drains the programs, which must go well, and looks through what they logged and published.
func (b *bed) end() {
	if b.t.Failed() {
		for _, p := range b.fleet.Programs() {
			b.t.Logf("last lines of %s:\n%s", p.Name, p.Tail())
		}
	}
	b.noLeaksInStreams()
	b.noLeaksInMetrics()
	if b.platform != nil {
		b.should(b.platform.Close())
	}
	b.should(b.fleet.Close())
	b.noLeaksInLogs()
	b.noViolations()
}

// must ends the test where err is not nil.
func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// should fails the test where err is not nil.
func (b *bed) should(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Error(err)
	}
}

// add makes a recording.
func (b *bed) add(s platform.Spec) *platform.Recording {
	b.t.Helper()
	r, err := b.platform.Add(s)
	b.must(err)
	return r
}

// send sends the recording's webhook, which must be accepted.
func (b *bed) send(r *platform.Recording, edits ...func(*platform.Event)) {
	b.t.Helper()
	a, err := b.platform.Send(b.t.Context(), r, edits...)
	b.must(err)
	if a.Code != "accepted" {
		b.t.Fatalf("the webhook of %s was answered %d %q, want accepted", r.Key(), a.Status, a.Code)
	}
}

// settle waits until neither tier has anything left to do.
func (b *bed) settle() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	b.must((&story.Stage{Fleet: b.fleet}).Settle(ctx))
}

// compare reads all of both stores and holds them against what the platform knows.
func (b *bed) compare() outside.Report {
	b.t.Helper()
	stores, err := outside.Of(b.stack.World())
	b.must(err)
	report, err := outside.Reader{Stores: stores, Parallel: 4}.Compare(b.t.Context(), outside.FromPlatform(b.platform))
	b.must(err)
	return report
}

// sound says that nothing in the stores may be wrong, and that each must have so many copies.
func (b *bed) sound(copies int) {
	b.t.Helper()
	b.judge(b.compare(), copies)
}

// judge fails the test for each finding, and where a store has not so many copies.
func (b *bed) judge(report outside.Report, copies int) {
	b.t.Helper()
	if !report.Sound() {
		b.t.Errorf("the stores are not sound:\n%s", report)
	}
	for _, tier := range story.Tiers() {
		if n := report.Copies[tier].Recordings; n != copies {
			b.t.Errorf("%s has %d sound copies, want %d", tier, n, copies)
		}
	}
}

// letters returns the open dead letters as "tier key reason".
func (b *bed) letters() map[string]fleet.Letter {
	b.t.Helper()
	list, err := b.fleet.Letters(b.t.Context())
	b.must(err)
	out := make(map[string]fleet.Letter)
	for _, l := range list {
		out[fmt.Sprintf("%s %s %s", l.Tier, l.IdempotencyKey, l.Reason)] = l
	}
	return out
}

// noLetters says that there must be none.
func (b *bed) noLetters() {
	b.t.Helper()
	for text := range b.letters() {
		b.t.Errorf("dead letter: %s", text)
	}
}

// eventually asks until the answer is nil, and fails the test where that takes longer than the given time.
func (b *bed) eventually(within time.Duration, what string, ask func(context.Context) error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), within)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.t.Fatalf("%s: not within %s: %v", what, within, err)
		}
	}
}

// pause lets time go by where the moment itself is what a test is about; it ends early with the test.
func (b *bed) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.t.Context().Done():
	}
}
