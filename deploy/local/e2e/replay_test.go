package e2e

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// replayed is what `dlq replay -o json` prints.
type replayed struct {
	Matched, Replayed int
	Letters           []fleet.Letter
}

// given a recording that both tiers gave up because its link was dead, when the link works again and an operator replays
// the letters, then both tiers store it, the letters are gone, and the audit log says who did it.
func TestReplay(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 38}, env: map[string]string{"TWINREEL_RETRY_BASE": "50ms"}})
	r := b.add(platform.Spec{ID: "rec-replayed", Size: 12 * mib, SendSize: true, Faults: platform.Faults{Status: http.StatusNotFound}})
	b.send(r)
	b.settle()
	b.sound(0)
	b.reasons(map[string]string{"primary rec-replayed": "source_gone", "backup rec-replayed": "source_gone"})
	r.SetFaults(platform.Faults{})

	if got := b.replay(0, "--dry-run"); got.Matched != 2 || got.Replayed != 0 || len(got.Letters) != 2 {
		t.Errorf("a dry run says %+v, want 2 matched, none replayed", got)
	}
	if res, err := b.fleet.Command(t.Context(), "dlq", "replay"); err != nil || res.Code != 2 {
		t.Errorf("without --yes and a terminal: exit code %d, %v, want 2", res.Code, err)
	}
	if n := len(b.letters()); n != 2 {
		t.Fatalf("%d dead letters before the replay, want 2", n)
	}
	if got := b.replay(0, "--yes"); got.Matched != 2 || got.Replayed != 2 {
		t.Errorf("the replay says %+v, want 2 replayed", got)
	}
	b.settle()
	b.sound(1)
	b.noLetters()
	b.completed([]*platform.Recording{r}, 1)
	if n := b.audited("audit.replayed.primary") + b.audited("audit.replayed.backup"); n != 2 {
		t.Errorf("%d replays in the audit log, want 2", n)
	}
	if got := b.replay(0, "--yes"); got.Matched != 0 {
		t.Errorf("a second replay says %+v, want nothing", got)
	}
}

// replay runs `dlq replay`, which must end with the code.
func (b *bed) replay(code int, flags ...string) (got replayed) {
	b.t.Helper()
	res, err := b.fleet.Command(b.t.Context(), append([]string{"dlq", "replay", "-o", "json"}, flags...)...)
	b.must(err)
	if res.Code != code {
		b.t.Fatalf("dlq replay %v: exit code %d, want %d: %s", flags, res.Code, code, res.Stderr)
	}
	b.must(json.Unmarshal([]byte(res.Stdout), &got))
	return got
}

// audited counts the audit events of a subject. Each must say by whom.
func (b *bed) audited(subject string) (n int) {
	b.t.Helper()
	b.must(b.each(b.t.Context(), "AUDIT", func(m *jetstream.RawStreamMsg) {
		if m.Subject != subject {
			return
		}
		n++
		var e struct {
			Data struct{ By, IdempotencyKey string }
		}
		if err := json.Unmarshal(m.Data, &e); err != nil || e.Data.By == "" || e.Data.IdempotencyKey == "" {
			b.t.Errorf("audit event %s does not say who did what: %s", subject, m.Data)
		}
	}))
	return n
}
