package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/gate"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// step is a moment in a transfer at which the worker is killed, by the request to the store that shows it.
type step struct {
	name, injected string
	kinds          []gate.Kind
	after          int  // requests of these kinds that pass before
	done           bool // the store does it, and nobody hears of it; else it never sees it
	whole          bool // of a recording that goes up in one request; else in parts
	short          bool
}

// killRows kill a worker at each step of a transfer.
func killRows() (rows []Row) {
	steps := func(withBegin bool) []step {
		all := []step{
			{name: "part", injected: "before its second part", kinds: []gate.Kind{gate.Part}, after: 1},
			{name: "before-commit", injected: "after the agreement, before its commit", kinds: []gate.Kind{gate.Complete}},
			{name: "after-commit", injected: "after its commit was done, before the answer", kinds: []gate.Kind{gate.Complete}, done: true, short: true},
			{name: "before-sidecar", injected: "before its sidecar", kinds: []gate.Kind{gate.Sidecar}},
			{name: "after-sidecar", injected: "after its sidecar was written, before the audit event", kinds: []gate.Kind{gate.Sidecar}, done: true},
			{name: "before-put", injected: "before the one request of a small recording", kinds: []gate.Kind{gate.Put}, whole: true},
			{name: "after-put", injected: "after that was done, before the answer", kinds: []gate.Kind{gate.Put}, done: true, whole: true},
		}
		if withBegin {
			all = append([]step{
				{name: "before-begin", injected: "before it opens an upload", kinds: []gate.Kind{gate.Begin}},
				{name: "after-begin", injected: "after it has opened an upload, before it knows its ID", kinds: []gate.Kind{gate.Begin}, done: true},
			}, all...)
		}
		return all
	}
	for _, tier := range []string{"primary", "backup"} {
		for _, s := range steps(tier == "primary") {
			rows = append(rows, Row{
				Name: fmt.Sprintf("kill-%s-%s", tier, s.name), Group: "Kills", Short: s.short && tier == "primary",
				Injected: fmt.Sprintf("worker-%s killed (-9) %s; another is started", tier, s.injected),
				Seen:     "the other finishes it",
				settings: map[string]string{"TWINREEL_PART_BYTES": "5MiB"},
				play:     func(ctx context.Context, b *bed) error { return b.killAt(ctx, tier, s) },
			})
		}
	}
	return append(rows,
		Row{
			Name: "kill-primary-mid-stream", Group: "Kills", Injected: "worker-primary killed (-9) in the middle of a streamed request; another is started",
			Seen: "the other finishes it", play: killMidStream,
		},
		Row{
			Name: "kill-primary-audited", Group: "Kills", Injected: "worker-primary killed (-9) the moment its audit event appears, before or after its acknowledgement",
			Seen: "one copy, however often it is delivered", play: killAudited,
		},
		Row{
			Name: "kill-ingress", Group: "Kills", Short: true, Injected: "ingress killed (-9) ten times under load, and started at once",
			Seen: "every webhook is taken in the end, once", play: killIngress,
		},
		Row{
			Name: "frozen-primary", Group: "Kills", settings: map[string]string{"TWINREEL_PART_BYTES": "5MiB"},
			Injected: "worker-primary frozen (SIGSTOP) with its commit on the line, until another has stored the recording; then both go on",
			Seen:     "one version: the late commit is refused, and found to be the same", play: frozenCommit,
		})
}

// inParts is a recording that goes up in parts: its length is not known before its end.
func inParts() platform.Spec {
	return platform.Spec{Size: 12 * mib, SendSHA256: true, Faults: platform.Faults{Chunked: true}}
}

// killAt kills a tier's worker at a step and lets another finish.
func (b *bed) killAt(ctx context.Context, tier string, s step) error {
	if err := b.warm(ctx); err != nil {
		return err
	}
	spec := inParts()
	if s.whole {
		spec = platform.Spec{Size: 20_000, SendSize: true}
	}
	r, err := b.add(spec)
	if err != nil {
		return err
	}
	g, victim, killed := b.s3, b.worker(tier), make(chan error, 1)
	if tier == "backup" {
		g = b.azure
	}
	rule := gate.Rule{Kinds: s.kinds, Key: r.ID, After: s.after, Times: 1}
	kill := func() { killed <- victim.Kill() }
	if s.done {
		rule.Done = kill
	} else {
		rule.Before = kill
	}
	g.Set(rule)
	b.sendThese(ctx, r)
	if err := b.await(ctx, killed, "the worker reaches that step"); err != nil {
		return err
	}
	g.Set()
	return b.another(ctx, tier)
}

// await waits for what a gate's hook says.
func (b *bed) await(ctx context.Context, said <-chan error, what string) error {
	select {
	case err := <-said:
		return err
	case <-time.After(time.Minute):
		return fmt.Errorf("%s: not within a minute", what)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// another starts a tier's second worker, lets it finish, and says what it did.
func (b *bed) another(ctx context.Context, tier string) error {
	second, err := b.start("worker-" + tier)
	if err != nil {
		return err
	}
	if err := errors.Join(second.Ready(ctx), b.restAgain(ctx, "after the kill")); err != nil {
		return err
	}
	m, err := second.Metrics(ctx)
	if err != nil {
		return err
	}
	for _, outcome := range []string{"stored", "already_present", "duplicate"} {
		if n := m.Sum("twinreel_deliveries_total", fmt.Sprintf("outcome=%q", outcome)); n > 0 {
			b.see("the other: %v × %s", n, outcome)
		}
	}
	return nil
}

func killMidStream(ctx context.Context, b *bed) error {
	r, err := b.add(platform.Spec{Size: 40 * mib, SendSize: true, Faults: platform.Faults{BytesPerSecond: 4 * mib}})
	if err != nil {
		return err
	}
	b.sendThese(ctx, r)
	midway := func(ctx context.Context) error {
		return counts(ctx, b.primary, 10*mib, "twinreel_transfer_bytes_total")
	}
	if err := errors.Join(eventually(ctx, time.Minute, "some of it is up", midway), b.primary.Kill()); err != nil {
		return err
	}
	r.SetFaults(platform.Faults{})
	return b.another(ctx, "primary")
}

func killAudited(ctx context.Context, b *bed) error {
	if err := errors.Join(b.warm(ctx), b.send(ctx, 1), b.has(ctx, "primary", 5, time.Minute), b.primary.Kill()); err != nil {
		return err
	}
	return b.another(ctx, "primary")
}

func killIngress(ctx context.Context, b *bed) error {
	if err := b.warm(ctx); err != nil {
		return err
	}
	for range 10 {
		if err := errors.Join(b.send(ctx, 4), pause(ctx, 100*time.Millisecond), b.ingress.Kill(), b.ingress.Start(), b.ingress.Ready(ctx)); err != nil {
			return err
		}
	}
	if err := b.restAgain(ctx, "after the last kill"); err != nil {
		return err
	}
	return b.onceEach(ctx)
}

// onceEach says that RECORDINGS has each acknowledged recording once: a webhook that was sent again after a lost answer is
// a duplicate there.
func (b *bed) onceEach(ctx context.Context) error {
	have, err := b.queue.recordings(ctx, keyOf)
	if err != nil {
		return err
	}
	for _, r := range b.platform.Truth() {
		if n := have[r.Key()]; n != 1 && len(r.Acknowledged()) > 0 {
			b.blame("RECORDINGS has %s %d times, want once", r.Key(), n)
		}
	}
	b.see("RECORDINGS has each of %d once", len(have))
	return nil
}

// frozenCommit holds a worker's commit on the line, and the worker itself, until another has stored the recording.
func frozenCommit(ctx context.Context, b *bed) error {
	if err := b.warm(ctx); err != nil {
		return err
	}
	r, err := b.add(inParts())
	if err != nil {
		return err
	}
	frozen, goOn := make(chan error, 1), make(chan struct{})
	b.s3.Set(gate.Rule{Kinds: []gate.Kind{gate.Complete}, Key: r.ID, Times: 1, First: func() {
		frozen <- b.primary.Freeze()
		<-goOn
	}})
	b.sendThese(ctx, r)
	if err := b.await(ctx, frozen, "the worker commits"); err != nil {
		close(goOn)
		return err
	}
	before := b.have("primary")
	second, err := b.start(fleet.WorkerPrimary)
	if err == nil {
		err = errors.Join(second.Ready(ctx), b.has(ctx, "primary", before+1, 3*time.Minute))
	}
	err = errors.Join(err, b.primary.Thaw())
	close(goOn)
	if err != nil {
		return err
	}
	b.see("the other stored it meanwhile")
	done := func(ctx context.Context) error { return counts(ctx, b.primary, 5, "twinreel_deliveries_total") }
	if err := eventually(ctx, time.Minute, "the thawed worker is done with it", done); err != nil {
		return err
	}
	return b.restAgain(ctx, "after both went on")
}
