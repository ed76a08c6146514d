package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// given webhooks that were never answered, when an operator imports them as the user that the reconciler is on NATS, twice,
// then each is stored once.
func TestImport(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 41}})
	r := b.add(platform.Spec{ID: "rec-imported", Size: mib, SendSize: true})
	file := filepath.Join(t.TempDir(), "webhooks.ndjson")
	b.must(os.WriteFile(file, append(b.platform.Webhook(r).Body, '\n'), 0o600))

	for _, want := range []string{"accepted 1, known before 0", "accepted 0, known before 1"} {
		res, err := b.fleet.Command(t.Context(), "import", "--source", "default", file, "--yes")
		if err != nil || res.Code != 0 || !strings.Contains(res.Stdout, want) {
			t.Fatalf("exit code %d, %v: %s%s; want %q", res.Code, err, res.Stdout, res.Stderr, want)
		}
	}
	b.eventually(patience, "both tiers store it", func(ctx context.Context) error {
		if status, err := b.fleet.Status(ctx, r.Key()); err != nil || status != "completed" {
			return fmt.Errorf("status %q, %w", status, err)
		}
		return nil
	})
	b.noLetters()
}
