package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/gate"
	"github.com/twinreel/twinreel/deploy/local/internal/wire"
)

// ill is one way for a store to be ill, and the words for it.
type ill struct {
	name, injected string
	short          bool
	on             place
	hurt           func(ctx context.Context, b *bed) error
	mend           func(ctx context.Context, b *bed) error
	partly         bool // some recordings may get through
	lasting        time.Duration
	says           string // the worker's metric that must not be 0 while the store is ill; ingress must then route past it
}

// s3Rows are what can go wrong with the primary tier's store.
func s3Rows() []Row {
	at := func(b *bed) *gate.Gate { return b.s3 }
	line := func(b *bed) *wire.Wire { return b.s3Line }
	return storeRows("S3", "primary", append(common(at, line),
		ill{
			name: "killed", injected: "the S3 server killed (-9)", on: inTurn,
			hurt: func(_ context.Context, b *bed) error { return b.stack.S3.Kill() }, mend: func(ctx context.Context, b *bed) error { return b.stack.S3.Start(ctx) },
		},
		ill{
			name: "frozen", injected: "the S3 server frozen (SIGSTOP)", on: inTurn,
			hurt: func(_ context.Context, b *bed) error { return b.stack.S3.Freeze() }, mend: func(_ context.Context, b *bed) error { return b.stack.S3.Thaw() },
		},
		answering(at, "500", "S3 answers 500 InternalError", gate.Answer{Status: http.StatusInternalServerError, Code: "InternalError"}, true),
		answering(at, "slowdown", "S3 answers 503 SlowDown", gate.Answer{Status: http.StatusServiceUnavailable, Code: "SlowDown"}, false),
		answering(at, "429", "S3 answers 429 with Retry-After: 2", gate.Answer{Status: http.StatusTooManyRequests, Code: "TooManyRequests", RetryAfter: 2 * time.Second}, false),
		answering(at, "403", "S3 answers 403 AccessDenied", gate.Answer{Status: http.StatusForbidden, Code: "AccessDenied"}, true),
		answering(at, "401", "S3 answers 401 InvalidAccessKeyId", gate.Answer{Status: http.StatusUnauthorized, Code: "InvalidAccessKeyId"}, false),
		ill{
			name: "conflicts", injected: "S3 answers the first 6 commits with 409 ConditionalRequestConflict, as AWS does where two meet", partly: true,
			hurt: func(_ context.Context, b *bed) error {
				b.s3.Set(gate.Rule{Kinds: gate.Commits(), Times: 6, Answer: &gate.Answer{Status: http.StatusConflict, Code: "ConditionalRequestConflict"}})
				return nil
			},
			mend: open(at),
		},
	), Row{
		Name: "s3-disk-full", Group: "S3", on: alone, Injected: fmt.Sprintf("the S3 server's data on a disk of %d MiB, which is filled by something else", smallDisk),
		Seen: "backup has every recording meanwhile",
		play: func(ctx context.Context, b *bed) error { return storeDiskFull(ctx, b, "primary", "s3") },
	}, burstRow("S3", "s3-burst", "primary", "TooManyRequests", at))
}

// azureRows are what can go wrong with the backup tier's store.
func azureRows() []Row {
	at := func(b *bed) *gate.Gate { return b.azure }
	line := func(b *bed) *wire.Wire { return b.azureLine }
	return storeRows("Azure", "backup", append(common(at, line),
		ill{
			// Not killed: Azurite then loses blobs that it acknowledged, which the real one does not.
			name: "stopped", injected: "the Azure server stopped (SIGTERM)", on: inTurn,
			hurt: func(_ context.Context, b *bed) error { return b.stack.Azure.Stop() }, mend: func(ctx context.Context, b *bed) error { return b.stack.Azure.Start(ctx) },
		},
		ill{
			name: "frozen", injected: "the Azure server frozen (SIGSTOP)", on: inTurn,
			hurt: func(_ context.Context, b *bed) error { return b.stack.Azure.Freeze() }, mend: func(_ context.Context, b *bed) error { return b.stack.Azure.Thaw() },
		},
		answering(at, "500", "Azure answers 500 InternalError", gate.Answer{Status: http.StatusInternalServerError, Code: "InternalError"}, false),
		answering(at, "timed-out", "Azure answers 500 OperationTimedOut", gate.Answer{Status: http.StatusInternalServerError, Code: "OperationTimedOut"}, false),
		answering(at, "busy", "Azure answers 503 ServerBusy with Retry-After: 2", gate.Answer{Status: http.StatusServiceUnavailable, Code: "ServerBusy", RetryAfter: 2 * time.Second}, true),
		answering(at, "429", "Azure answers 429 with Retry-After: 2", gate.Answer{Status: http.StatusTooManyRequests, Code: "TooManyRequests", RetryAfter: 2 * time.Second}, false),
		answering(at, "403", "Azure answers 403 AuthorizationFailure", gate.Answer{Status: http.StatusForbidden, Code: "AuthorizationFailure"}, false),
	), Row{
		Name: "azure-disk-full", Group: "Azure", on: alone, Injected: fmt.Sprintf("the Azure server's data on a disk of %d MiB, which is filled by something else", smallDisk),
		Seen: "primary has every recording meanwhile",
		play: func(ctx context.Context, b *bed) error { return storeDiskFull(ctx, b, "backup", "azure") },
	}, burstRow("Azure", "azure-burst", "backup", "TooManyRequests", at))
}

// common is what can befall either store.
func common(at func(*bed) *gate.Gate, line func(*bed) *wire.Wire) []ill {
	mended := func(_ context.Context, b *bed) error { return line(b).Mend() }
	on := func(hurt func(*wire.Wire) error) func(context.Context, *bed) error {
		return func(_ context.Context, b *bed) error { return hurt(line(b)) }
	}
	rules := func(r gate.Rule) func(context.Context, *bed) error {
		return func(_ context.Context, b *bed) error { at(b).Set(r); return nil }
	}
	return []ill{
		{name: "refused", injected: "the store refuses every connection", hurt: on((*wire.Wire).Cut), mend: mended},
		{name: "slow", injected: "the line to the store: 300 ms each way, 512 KiB/s a connection", partly: true, hurt: on(func(w *wire.Wire) error { return w.Slow(300, 512) }), mend: mended},
		{name: "resets", injected: "the line resets each connection 100 ms after something was sent on it", partly: true, hurt: on(func(w *wire.Wire) error { return w.Reset(100) }), mend: mended},
		{name: "breaks-off", injected: "each connection ends after 700 KB: in the middle of a body", partly: true, short: true, hurt: on(func(w *wire.Wire) error { return w.BreakOff(700_000) }), mend: mended},
		{name: "half-open", injected: "connections stay open and bring nothing more for 75 s: longer than a request may stand still", hurt: on((*wire.Wire).Hang), mend: mended, lasting: 75 * time.Second},
		{name: "deaf", injected: "all that the worker sends arrives, and no answer comes back, for 70 s", hurt: on((*wire.Wire).Deafen), mend: mended, lasting: 70 * time.Second},
		{name: "lost-answers", injected: "the answers to ten commits are lost after the store has done them", partly: true, short: true, hurt: rules(gate.Rule{Kinds: gate.Commits(), Times: 10, Lose: true}), mend: open(at)},
		{name: "truncated", injected: "the answer to every look and commit ends in its middle, twenty times", partly: true, hurt: rules(gate.Rule{Kinds: append(gate.Commits(), gate.Look, gate.Begin), Times: 20, Truncate: true}), mend: open(at)},
		{name: "silent", injected: "the store takes requests and never answers", hurt: rules(gate.Rule{Hold: true}), mend: open(at)},
		{name: "no-sidecars", injected: "every sidecar's request breaks, media pass", hurt: rules(gate.Rule{Kinds: []gate.Kind{gate.Sidecar}, Break: true}), mend: open(at)},
	}
}

// open lets everything pass again.
func open(at func(*bed) *gate.Gate) func(context.Context, *bed) error {
	return func(_ context.Context, b *bed) error {
		at(b).Set()
		return nil
	}
}

func answering(at func(*bed) *gate.Gate, name, injected string, a gate.Answer, short bool) ill {
	return ill{
		name: name, injected: injected + " to everything", short: short, mend: open(at), says: tells(a.Status),
		hurt: func(_ context.Context, b *bed) error {
			at(b).Set(gate.Rule{Answer: &a})
			return nil
		},
	}
}

// tells is the metric by which a worker tells of such answers.
func tells(status int) string {
	switch status {
	case http.StatusForbidden, http.StatusUnauthorized:
		return "twinreel_tier_parked"
	default:
		return "twinreel_breaker_state"
	}
}

// storeRows makes rows of illnesses: in each the sibling must have everything while the store is ill.
func storeRows(cloud, tier string, ills []ill, more ...Row) (rows []Row) {
	prefix := map[string]string{"S3": "s3-", "Azure": "azure-"}[cloud]
	for _, i := range ills {
		seen := sibling(tier) + " has every recording meanwhile"
		if i.says != "" {
			seen += fmt.Sprintf("; %s says so, and ingress routes new events past %s until it is well", i.says, tier)
		}
		rows = append(rows, Row{
			Name: prefix + i.name, Group: cloud, Short: i.short, on: i.on, Injected: i.injected,
			Seen: seen,
			play: func(ctx context.Context, b *bed) error { return b.sick(ctx, tier, i) },
		})
	}
	return append(rows, more...)
}

// siblingPatience is how long the sibling may take for a row's few recordings, on a machine that is busy.
const siblingPatience = time.Minute

// sick makes a tier's store ill, sees that the sibling takes everything meanwhile, and mends it.
func (b *bed) sick(ctx context.Context, tier string, i ill) error {
	if err := errors.Join(b.warm(ctx), i.hurt(ctx, b)); err != nil {
		return err
	}
	start, before := time.Now(), b.have(tier)
	well := sibling(tier)
	if err := errors.Join(b.send(ctx, few), b.has(ctx, well, before+few, siblingPatience)); err != nil {
		return errors.Join(err, i.mend(ctx, b))
	}
	b.see("%s had all %d after %s", well, few, seconds(time.Since(start)))
	if err := b.told(ctx, tier, i); err != nil {
		return errors.Join(err, i.mend(ctx, b))
	}
	if err := pause(ctx, max(i.lasting-time.Since(start), 3*time.Second)); err != nil {
		return err
	}
	n := b.have(tier) - before
	if n == few && !i.partly {
		b.blame("%s got all %d although its store was ill: the fault was not felt", tier, n)
	}
	b.see("%s got %d of them meanwhile", tier, n)
	if err := i.mend(ctx, b); err != nil {
		return err
	}
	if err := b.restAgain(ctx, "after it was mended"); err != nil || i.says == "" {
		return err
	}
	start = time.Now()
	err := eventually(ctx, 90*time.Second, "ingress routes to it again", b.weighs(tier, 1))
	b.see("ingress gave it new events again %s later", seconds(time.Since(start)))
	return err
}

// told waits until the worker says what its store does, and ingress routes past it.
func (b *bed) told(ctx context.Context, tier string, i ill) error {
	if i.says == "" {
		return nil
	}
	start := time.Now()
	says := func(ctx context.Context) error { return counts(ctx, b.worker(tier), 1, i.says) }
	if err := eventually(ctx, time.Minute, "the worker says that its store is ill", says); err != nil {
		return err
	}
	if err := eventually(ctx, time.Minute, "ingress routes past it", b.weighs(tier, 0)); err != nil {
		return err
	}
	b.see("%s was not 0, and ingress routed past %s, at the latest %s after that", i.says, tier, seconds(time.Since(start)))
	return nil
}

// weighs tells whether ingress gives a tier that weight.
func (b *bed) weighs(tier string, want float64) func(context.Context) error {
	return func(ctx context.Context) error {
		m, err := b.ingress.Metrics(ctx)
		if err != nil {
			return err
		}
		if got := m.Sum("twinreel_tier_weight", fmt.Sprintf("tier=%q", tier)); got != want {
			return fmt.Errorf("its weight is %v, want %v", got, want)
		}
		return nil
	}
}

// storeDiskFull fills the disk below a store.
func storeDiskFull(ctx context.Context, b *bed, tier, folder string) error {
	s := b.stack.S3
	if tier == "backup" {
		s = b.stack.Azure
	}
	d, err := b.onSmallDisk(ctx, s, folder)
	if err != nil {
		return err
	}
	return b.sick(ctx, tier, ill{
		partly: true, // what is in memory, or smaller than the last free block
		hurt:   func(context.Context, *bed) error { return d.Fill() },
		mend:   func(context.Context, *bed) error { return d.Empty() },
	})
}
