package chaos

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// sourceRows are what can go wrong with the platform's media.
func sourceRows() []Row {
	for10s := func(f platform.Faults) func(context.Context, *bed) error {
		return func(ctx context.Context, b *bed) error { return b.sources(ctx, f, 6*time.Second) }
	}
	fast := map[string]string{"TWINREEL_SOURCE_STALL_TIMEOUT": "2s"}
	return []Row{
		{
			Name: "source-5xx", Group: "Source", Injected: "the media host answers 503 to everything for 6 s", Seen: "nothing is given up for it",
			play: for10s(platform.Faults{Status: http.StatusServiceUnavailable}),
		},
		{
			Name: "source-429", Group: "Source", Injected: "the media host answers 429 with Retry-After: 1 for 6 s", Seen: "nothing is given up for it",
			play: for10s(platform.Faults{Status: http.StatusTooManyRequests, RetryAfter: time.Second}),
		},
		{
			Name: "source-stalls", Group: "Source", settings: fast, Injected: "each media answer stops at byte 20,000 and stays open, for 6 s", Seen: "nothing is given up for it",
			play: for10s(platform.Faults{End: platform.Stalled, EndAt: 20_000}),
		},
		{
			Name: "source-resets", Group: "Source", Short: true, Injected: "each media answer is reset (TCP RST) at byte 20,000, for 6 s", Seen: "nothing is given up for it",
			play: for10s(platform.Faults{End: platform.Reset, EndAt: 20_000}),
		},
		{
			Name: "source-truncated", Group: "Source", Injected: "each media answer ends at byte 20,000 without its length, cleanly, for 6 s", Seen: "nothing short is stored",
			play: for10s(platform.Faults{End: platform.Truncated, EndAt: 20_000}),
		},
		{
			Name: "source-gone", Group: "Source", Short: true, Injected: "three links are dead (404, 410, expired); others are well", Seen: "the three are dead letters of both tiers: source_gone",
			play: sourceGone,
		},
		{
			Name: "source-changes", Group: "Source", Injected: "two recordings are encoded anew between the two tiers' fetches", Seen: "one tier has each, the other a dead letter: digest_conflict",
			play: sourceChanges,
		},
	}
}

// sources lets all media misbehave for a while.
func (b *bed) sources(ctx context.Context, f platform.Faults, lasting time.Duration) error {
	if err := b.warm(ctx); err != nil {
		return err
	}
	recordings, _, err := b.platform.Mixture(few, largest, 1, 11)
	if err != nil {
		return err
	}
	for _, r := range recordings {
		r.SetFaults(f)
	}
	b.sendThese(ctx, recordings...)
	if err := pause(ctx, lasting); err != nil {
		return err
	}
	for _, r := range recordings {
		r.SetFaults(platform.Faults{})
	}
	return b.restAgain(ctx, "after the host was well")
}

func sourceGone(ctx context.Context, b *bed) error {
	for _, s := range []platform.Spec{
		{ID: "rec-404", Size: mib, Faults: platform.Faults{Status: http.StatusNotFound}},
		{ID: "rec-410", Size: mib, Faults: platform.Faults{Status: http.StatusGone}},
		{ID: "rec-expired", Size: mib, LinkTTL: -time.Hour},
	} {
		r, err := b.add(s)
		if err != nil {
			return err
		}
		b.expectLetter(r, "source_gone")
		b.sendThese(ctx, r)
	}
	return errors.Join(b.send(ctx, few), b.restAgain(ctx, "after the webhooks"))
}

func sourceChanges(ctx context.Context, b *bed) error {
	for _, size := range []int64{20_000, 9 * mib} {
		r, err := b.add(platform.Spec{Size: size, SendSize: true, Faults: platform.Faults{Reencoded: true, After: 1}})
		if err != nil {
			return err
		}
		b.eitherLetter(r, "digest_conflict")
		b.sendThese(ctx, r)
	}
	return errors.Join(b.send(ctx, few), b.restAgain(ctx, "after the webhooks"))
}
