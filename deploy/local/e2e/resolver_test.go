package e2e

import (
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// startWith starts ingress and both workers, which are told more than newBed's are: what is known once servers and
// platform run.
func (b *bed) startWith(workers map[string]string) {
	b.t.Helper()
	b.must(b.fleet.Provision(b.t.Context()))
	for _, p := range []struct {
		name string
		env  map[string]string
		is   **fleet.Program
	}{{fleet.Ingress, nil, &b.ingress}, {fleet.WorkerPrimary, workers, &b.primary}, {fleet.WorkerBackup, workers, &b.backup}} {
		started, err := b.fleet.Start(p.name, p.env)
		b.must(err)
		*p.is = started
	}
	for _, p := range b.fleet.Programs() {
		b.must(p.Ready(b.t.Context()))
	}
	b.platform.SetIngressURL(b.ingress.URL())
}

// given links that expired before anybody read them and a platform that is asked for fresh ones, and is still transcoding
// at first, when their webhooks come, then both tiers store each recording, and nothing is counted against any; one whose
// media are gone for good ends as source_gone.
func TestAnExpiredLinkIsResolvedAnew(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{bare: true, platform: platform.Config{Seed: 39, APIToken: rand.Text()}, env: map[string]string{
		"TWINREEL_RETRY_BASE": "50ms", "TWINREEL_RANGE_THRESHOLD": "2MiB", "TWINREEL_PLATFORM_RATE": "50",
	}})
	b.startWith(map[string]string{"TWINREEL_RESOLVER_URL": b.platform.ResolverURL(), "TWINREEL_RESOLVER_TOKEN": b.platform.APIToken()})
	var all []*platform.Recording
	for _, s := range []platform.Spec{{ID: "rec-later", Size: mib, Transcoding: 5}, {ID: "rec-small", Size: 4096}, {ID: "rec-parts", Size: 20 * mib}} {
		s.LinkTTL, s.Expect, s.SendSize = -time.Hour, platform.ExpectStored, true
		all = append(all, b.add(s))
	}
	gone := b.add(platform.Spec{ID: "rec-gone", Size: mib, SendSize: true, Faults: platform.Faults{Status: http.StatusGone}})
	for _, r := range append(all, gone) {
		b.send(r)
	}
	b.settle()
	b.sound(3)
	b.reasons(map[string]string{"primary rec-gone": "source_gone", "backup rec-gone": "source_gone"})
	b.completed(all, 3)
	for _, r := range all {
		if c := r.Counts(); c.Denied < 2 || c.Asked < 2 {
			t.Errorf("%s: its link was refused %d times and asked for anew %d times, want each tier's", r.Key(), c.Denied, c.Asked)
		}
	}
	if n := all[0].Counts().Asked; n < 5+2 {
		t.Errorf("%s was asked for %d times, want it to have been transcoded first", all[0].Key(), n)
	}
}

// given a resolver that refuses our token, then recordings whose links expired are dead letters that say so, and not that
// their media are gone; all others are stored.
func TestAResolverThatRefusesIsSourceDenied(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{bare: true, platform: platform.Config{Seed: 40, APIToken: rand.Text()}, env: map[string]string{"TWINREEL_RETRY_BASE": "50ms"}})
	b.startWith(map[string]string{"TWINREEL_RESOLVER_URL": b.platform.ResolverURL(), "TWINREEL_RESOLVER_TOKEN": "an old one"})
	b.send(b.add(platform.Spec{ID: "rec-expired", Size: mib, LinkTTL: -time.Hour}))
	b.send(b.add(platform.Spec{ID: "rec-good", Size: mib}))
	b.settle()
	b.sound(1)
	b.reasons(map[string]string{"primary rec-expired": "source_denied", "backup rec-expired": "source_denied"})
}
