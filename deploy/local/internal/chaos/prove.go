package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/outside"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
)

// expectLetter says that the recording must end as a dead letter of both tiers, for that reason.
func (b *bed) expectLetter(r *platform.Recording, reason string) {
	for _, t := range story.Tiers() {
		b.letters[t+" "+r.Key()] = reason
	}
}

// eitherLetter says that the recording must end as a dead letter of just one tier, for that reason.
func (b *bed) eitherLetter(r *platform.Recording, reason string) {
	b.letters["either "+r.Key()] = reason
}

// prove brings everything to rest and holds all that can be seen from outside against what must be.
func (b *bed) prove(ctx context.Context) error {
	if err := b.rest(ctx); err != nil {
		return err
	}
	if err := b.proveStores(ctx); err != nil {
		return err
	}
	if err := b.proveLetters(ctx); err != nil {
		return err
	}
	for _, p := range b.fleet.Programs() {
		if !p.Running() && !p.Asked() {
			b.blame("%s ended by itself; its last lines:\n%s", p.Name, p.Tail())
		}
	}
	return nil
}

// proveStores lets the independent reader read every byte of both stores.
func (b *bed) proveStores(ctx context.Context) error {
	return b.compare(ctx, outside.FromPlatform(b.platform))
}

// compare holds both stores against what they must have.
func (b *bed) compare(ctx context.Context, truth []outside.Truth) error {
	stores, err := outside.Of(b.world)
	if err != nil {
		return err
	}
	report, err := outside.Reader{Stores: stores, Parallel: 2, Dates: b.dates}.Compare(ctx, truth)
	if err != nil {
		return err
	}
	for _, f := range report.Findings {
		// A worker killed between the store's opening of an upload and its note of the ID, which precedes the first part,
		// leaves one that nobody knows of. It is visible to nobody, and the bucket's lifecycle gets it.
		if f.Kind == outside.OpenUpload {
			parts, err := b.world.S3.OpenParts(ctx, f.Key)
			if err != nil {
				return err
			}
			if parts == 0 {
				b.see("an upload without a part, left by the kill")
				continue
			}
		}
		if f.Kind == outside.Missing && b.loss != nil {
			b.loss.Lost++
		}
		b.blame("%s", f)
	}
	var size int64
	must := 0
	for _, t := range truth {
		if t.Must {
			must, size = must+1, size+t.Size
		}
	}
	primary, backup := report.Copies["primary"].Recordings, report.Copies["backup"].Recordings
	if primary < must || backup < must {
		b.blame("primary has %d and backup %d sound copies, want %d", primary, backup, must)
	}
	b.see("%d recordings (%.0f MiB): %d sound copies in primary, %d in backup", must, float64(size)/mib, primary, backup)
	return nil
}

// proveLetters holds the open dead letters against those that must be.
func (b *bed) proveLetters(ctx context.Context) error {
	list, err := b.fleet.Letters(ctx)
	if err != nil {
		return err
	}
	got := make(map[string]string)
	for _, l := range list {
		at := l.Tier + " " + l.IdempotencyKey
		if either := "either " + l.IdempotencyKey; b.letters[either] != "" && got[either] == "" {
			at = either
		}
		got[at] = l.Reason
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if b.letters[k] != got[k] {
			b.blame("dead letter of %s for %s, want %q", k, got[k], b.letters[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(b.letters)) {
		if got[k] == "" {
			b.blame("no dead letter of %s, want one for %s", k, b.letters[k])
		}
	}
	if len(got) == 0 {
		b.see("no dead letter")
		return nil
	}
	reasons := slices.Compact(slices.Sorted(maps.Values(got)))
	b.see("%d dead letters: %s", len(got), strings.Join(reasons, ", "))
	return nil
}

// noPanics looks through the programs' logs.
func (b *bed) noPanics() error {
	var errs []error
	for _, p := range b.fleet.Programs() {
		text, err := os.ReadFile(p.Log())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if bytes.Contains(text, []byte("a defect in this program")) || bytes.Contains(text, []byte("goroutine 1 [")) {
			errs = append(errs, fmt.Errorf("%s logged a panic:\n%s", p.Name, p.Tail()))
		}
	}
	return errors.Join(errs...)
}

// has waits until a tier has so many recordings, as the audit log tells.
func (b *bed) has(ctx context.Context, tier string, n int, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return b.watch.Wait(ctx, tier, n)
}

// have is how many recordings a tier has now.
func (b *bed) have(tier string) int {
	n, _ := b.watch.Count(tier)
	return n
}

// worker is a tier's worker.
func (b *bed) worker(tier string) *fleet.Program {
	if tier == "backup" {
		return b.backup
	}
	return b.primary
}

// sibling is the other tier.
func sibling(tier string) string {
	if tier == "backup" {
		return "primary"
	}
	return "backup"
}
