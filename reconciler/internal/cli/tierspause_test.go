package cli

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// audited returns the data of the audit events of a subject.
func (b *bed) audited(subject string) (out []event.AuditData) {
	b.t.Helper()
	for _, m := range b.stored(queue.Audit, subject) {
		var a struct{ Data event.AuditData }
		if err := json.Unmarshal(m.Data, &a); err != nil {
			b.t.Fatal(err)
		}
		out = append(out, a.Data)
	}
	return out
}

// pause returns what stands on the board.
func (b *bed) pause(t tier.Tier) *tier.Pause {
	b.t.Helper()
	all, err := queue.NewBoard(b.nc, b.js).Read(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return all[t].Pause
}

func TestAPausedTierIsPausedUntilItIsResumed(t *testing.T) {
	b := provisioned(t)
	got := decode[paused](t, b.ok("tiers", "pause", "primary", "--reason", "bucket moves", "--yes", "-o", "json").stdout)
	if !got.Paused || got.Tier != tier.Primary || got.Reason != "bucket moves" || got.By != operator() || time.Since(got.Since) > time.Minute {
		t.Errorf("got %+v", got)
	}
	if p := b.pause(tier.Primary); p == nil || p.Reason != "bucket moves" || p.By != operator() || b.pause(tier.Backup) != nil {
		t.Errorf("on the board: %+v", p)
	}
	if primary, backup := b.tiers(); primary.State != "paused" || primary.Weight != 0 || primary.Reason != "bucket moves" || !primary.Since.Equal(got.Since) || backup.State != "unknown" {
		t.Errorf("got %+v, %+v", primary, backup)
	}
	s, err := b.js.Stream(t.Context(), queue.BucketStream(queue.Tiers))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.GetLastMsgForSubject(t.Context(), "$KV."+queue.Tiers+".primary.paused"); err != nil || m.Header.Get(jetstream.MsgTTLHeader) != "never" {
		t.Errorf("it lapses: %+v, %v", m, err)
	}
	if r := b.ok("tiers", "resume", "primary", "--yes"); !strings.Contains(r.stdout, "not paused") || b.pause(tier.Primary) != nil {
		t.Errorf("got %+v", r)
	}
	want := event.AuditData{Tier: "primary", Reason: "bucket moves", By: operator()}
	for _, kind := range []string{"tier_paused", "tier_resumed"} {
		if a := b.audited("audit." + kind + ".primary"); len(a) != 1 || !reflect.DeepEqual(a[0], want) {
			t.Errorf("%s: audited %+v", kind, a)
		}
	}
}

func TestResumingATierThatIsNotPausedChangesNothing(t *testing.T) {
	b := provisioned(t)
	if r := b.wants(0, "is not paused", "tiers", "resume", "backup", "--yes"); !strings.Contains(r.stdout, "not paused") || b.count(queue.Audit) != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestPausingNeedsAReasonAndAYes(t *testing.T) {
	b := provisioned(t)
	b.wants(2, "--yes", "tiers", "pause", "primary", "--reason", "x")
	b.wants(2, "--reason", "tiers", "pause", "primary", "--yes")
	b.wants(2, "--reason", "tiers", "pause", "primary", "--yes", "--reason", "two\nlines")
	b.wants(2, "--reason", "tiers", "pause", "primary", "--yes", "--reason", strings.Repeat("x", 501))
	b.wants(2, "tier", "tiers", "pause", "s3", "--yes", "--reason", "x")
	if b.pause(tier.Primary) != nil || b.count(queue.Audit) != 0 {
		t.Error("something changed")
	}
}

// AUDIT is made to refuse: as if it were full.
func TestAPauseThatCannotBeAuditedIsNone(t *testing.T) {
	b := provisioned(t)
	if err := b.js.DeleteStream(t.Context(), queue.Audit); err != nil {
		t.Fatal(err)
	}
	b.wants(1, "nothing was changed", "tiers", "pause", "primary", "--reason", "x", "--yes")
	if b.pause(tier.Primary) != nil {
		t.Error("it is paused")
	}
}

func TestWhatAnotherProgramWroteIsShownInOneLine(t *testing.T) {
	b := provisioned(t)
	err := queue.NewBoard(b.nc, b.js).Pause(t.Context(), tier.Primary, tier.Pause{Reason: "see https://u:p@x/?t=s3cret\n\x1b[31m", By: "a\nb"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []result{b.ok("tiers"), b.ok("tiers", "resume", "primary", "--yes")} {
		if strings.Contains(r.stdout+r.stderr, "s3cret") || strings.Contains(r.stdout+r.stderr, "\x1b") {
			t.Errorf("got %+v", r)
		}
	}
}
