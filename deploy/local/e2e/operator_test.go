package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// Every command of the operator and the daemon run here as the users that they are in production, and the bed fails where
// the server refused one of them anything. What they must be refused is package natsserver's test.

// given a recording that reached primary while backup was paused, and whose media the platform then lost, when backup is
// resumed and gives it up, then the daemon sends it again with a link to primary's copy, backup's worker takes that copy,
// and the letter is resolved; the audit log has each step.
func TestADeadLetterIsRescuedByTheSiblingsCopy(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 43}, env: map[string]string{"TWINREEL_RETRY_BASE": "50ms"}})
	daemon, err := b.fleet.StartReconciler(t.Context())
	b.must(err)
	b.command("tiers", "pause", "backup", "--reason", "on purpose", "--yes")
	b.eventually(time.Minute, "backup's worker and ingress know of the pause", func(ctx context.Context) error {
		return errors.Join(weighs(ctx, b.ingress, 1, 0), b.standsAside(ctx, b.backup))
	})
	b.stateOf("backup", "paused")
	r := b.add(platform.Spec{ID: "rec-rescued", Size: 12 * mib, SendSize: true})
	b.send(r)
	b.recorded(daemon, r.Key(), "partial")
	r.SetFaults(platform.Faults{Status: http.StatusNotFound})
	r.SetExpect(platform.ExpectStored)
	b.command("tiers", "resume", "backup", "--yes")
	b.recorded(daemon, r.Key(), "completed")
	b.eventually(patience, "the letter is resolved", func(context.Context) error {
		if n := len(b.letters()); n != 0 {
			return fmt.Errorf("%d letters are open", n)
		}
		return nil
	})
	b.settle()
	b.sound(1)
	b.completed([]*platform.Recording{r}, 1)
	trail := b.trail(r.Key())
	for _, want := range []string{
		"stored.primary", "dead.backup source_gone", "redriven.backup dead_letter by reconciler", "stored.backup dead_letter",
		"resolved.backup source_gone by reconciler",
	} {
		if trail[want] != 1 {
			t.Errorf("the audit log says %v, want %q once", trail, want)
		}
	}
	if links := b.links(r.ID); len(links) != 1 || !strings.HasPrefix(links[0], b.stack.S3Access.Endpoint+"/") {
		t.Errorf("%d redrives with a link, want one to primary's store", len(links))
	}
	for _, subject := range []string{"audit.tier_paused.backup", "audit.tier_resumed.backup"} {
		n := 0
		b.must(b.each(t.Context(), "AUDIT", func(m *jetstream.RawStreamMsg) {
			if m.Subject == subject && strings.Contains(string(m.Data), `"reason":"on purpose"`) {
				n++
			}
		}))
		if n != 1 {
			t.Errorf("%s: %d times, want once", subject, n)
		}
	}
}

// given a running fleet with letters that nobody can help, when an operator lists, shows, discards and replays them,
// imports what was never answered, asks for recordings and provisions anew, then each command does it.
func TestEveryCommandOfTheOperator(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 44}, env: map[string]string{"TWINREEL_RETRY_BASE": "50ms"}})
	daemon, err := b.fleet.StartReconciler(t.Context())
	b.must(err)
	gone := b.add(platform.Spec{ID: "rec-gone", Size: mib, Faults: platform.Faults{Status: http.StatusNotFound}})
	b.send(gone)
	b.settle()
	b.reasons(map[string]string{"primary rec-gone": "source_gone", "backup rec-gone": "source_gone"})

	for _, one := range []struct{ says, args string }{
		{`"reason":"source_gone"`, "dlq list --tier backup -o ndjson"},
		{`"idempotencyKey": "rec-gone"`, "dlq show rec-gone -o json"},
		{`"sequence": 1`, "dlq show --sequence 1 -o json"},
		{`"discarded": 0`, "dlq discard --tier backup --reason testing --dry-run -o json"},
		{`"discarded": 1`, "dlq discard --tier backup --reason testing --yes -o json"},
		{`"state": "healthy"`, "tiers -o json"},
		{`"status": "failed"`, "recording show rec-gone -o json"},
		{"unchanged", "provision"},
	} {
		if out := b.command(strings.Fields(one.args)...); !strings.Contains(out, one.says) {
			t.Errorf("reconciler %s says\n%s\nwant %s in it", one.args, out, one.says)
		}
	}
	gone.SetFaults(platform.Faults{})
	gone.SetExpect(platform.ExpectEither) // in primary alone: backup's letter was discarded
	if got := b.replay(0, "--yes"); got.Replayed != 1 {
		t.Errorf("the replay says %+v, want primary's letter", got)
	}
	missed := b.add(platform.Spec{ID: "rec-missed", Size: mib, SendSize: true})
	missed.SetExpect(platform.ExpectStored) // though no webhook of it was ever answered
	b.imported(missed, "accepted")
	b.settle()
	b.imported(missed, "known")
	b.noLetters()
	if report := b.compare(); !report.Sound() || report.Copies["primary"].Recordings != 2 || report.Copies["backup"].Recordings != 1 {
		t.Errorf("want both in primary, what was imported in backup as well:\n%s", report)
	}
	b.recorded(daemon, missed.Key(), "completed")
	b.recorded(daemon, gone.Key(), "partial")
	b.recorded(daemon, "rec-of-nobody", "unknown")
	b.withoutRedis(missed.Key(), "completed")
	if n := b.audited("audit.discarded.backup") + b.audited("audit.replayed.primary"); n != 2 {
		t.Errorf("%d audit events of discarding and replaying, want 2", n)
	}
}

// command runs a command of the operator, which must end with 0 and within the time that a refused request would cost.
func (b *bed) command(args ...string) (stdout string) {
	b.t.Helper()
	res, err := b.fleet.Command(b.t.Context(), args...)
	b.must(err)
	if res.Code != 0 {
		b.t.Fatalf("reconciler %s: exit code %d: %s", strings.Join(args, " "), res.Code, res.Stderr)
	}
	return res.Stdout
}

// recorded waits until the record API says that of a recording.
func (b *bed) recorded(daemon *fleet.Program, key, status string) {
	b.t.Helper()
	b.eventually(patience, "the record API says "+status+" of "+key, func(ctx context.Context) error {
		got, err := b.fleet.Record(ctx, daemon, key)
		if err == nil && got != status {
			err = errors.New("it says " + got)
		}
		return err
	})
}

// standsAside tells whether a worker knows that its tier is paused.
func (b *bed) standsAside(ctx context.Context, worker *fleet.Program) error {
	_, ok, detail, err := b.check(ctx, worker, "tier")
	if err == nil && (ok || !strings.HasPrefix(detail, "paused")) {
		err = fmt.Errorf("%s says of its tier: %t %q", worker.Name, ok, detail)
	}
	return err
}

// stateOf waits until `tiers` says that the tier is in that state.
func (b *bed) stateOf(tier, state string) {
	b.t.Helper()
	b.eventually(time.Minute, tier+" is "+state, func(ctx context.Context) error {
		tiers, err := b.fleet.Tiers(ctx)
		for _, one := range tiers {
			if one.Tier == tier && one.State != state {
				return errors.New("it is " + one.State)
			}
		}
		return err
	})
}

// imported imports a recording's webhook, which must come to that: accepted or known.
func (b *bed) imported(r *platform.Recording, what string) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "webhooks.ndjson")
	b.must(os.WriteFile(file, append(b.platform.Webhook(r).Body, '\n'), 0o600))
	var got map[string]any
	b.must(json.Unmarshal([]byte(b.command("import", "--source", "default", file, "--yes", "-o", "json")), &got))
	for _, name := range []string{"accepted", "known", "ignored", "refused"} {
		want := 0.0
		if name == what {
			want = 1
		}
		if got[name] != want {
			b.t.Errorf("the import says %v, want one %s", got, what)
		}
	}
}

// withoutRedis asks for a recording where Redis has nothing: the streams and the stores must tell.
func (b *bed) withoutRedis(key, status string) {
	b.t.Helper()
	res, err := b.fleet.CommandWith(b.t.Context(), []string{"TWINREEL_REDIS_PREFIX=empty"}, "recording", "show", key, "-o", "json")
	b.must(err)
	var got record
	if err := json.Unmarshal([]byte(res.Stdout), &got); err != nil || res.Code != 0 || got.Status != status {
		b.t.Errorf("without Redis %s is %q, want %q (exit code %d): %s", key, got.Status, status, res.Code, res.Stderr)
	}
}

// trail is what the audit log says of a recording, each as "kind.tier reason by whom", and how often.
func (b *bed) trail(key string) map[string]int {
	b.t.Helper()
	trail := map[string]int{}
	b.must(b.each(b.t.Context(), "AUDIT", func(m *jetstream.RawStreamMsg) {
		var e struct {
			Data struct{ IdempotencyKey, Reason, By string }
		}
		b.should(json.Unmarshal(m.Data, &e))
		if e.Data.IdempotencyKey != key {
			return
		}
		line := strings.TrimPrefix(m.Subject, "audit.")
		if e.Data.Reason != "" {
			line += " " + e.Data.Reason
		}
		if e.Data.By != "" {
			line += " by " + e.Data.By
		}
		trail[line]++
	}))
	return trail
}

// links are the links to the sibling's copy that a recording's redrives brought.
func (b *bed) links(id string) (out []string) {
	b.t.Helper()
	b.must(b.each(b.t.Context(), "RECORDINGS", func(m *jetstream.RawStreamMsg) {
		var e struct {
			Subject string
			Data    struct{ CopyFrom struct{ URL string } }
		}
		b.should(json.Unmarshal(m.Data, &e))
		if e.Subject == id && e.Data.CopyFrom.URL != "" {
			out = append(out, e.Data.CopyFrom.URL)
		}
	}))
	return out
}
