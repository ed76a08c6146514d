package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// difference is how the second webhook of a recording differs from the first. The event that contradicts what is stored
// ends in the dead letters of both tiers for one of the reasons; without any, both webhooks are fulfilled.
type difference struct {
	name    string
	spec    platform.Spec
	edit    func(*platform.Event)
	reasons []string
}

// unusable are the reasons of an event whose claim about the bytes is wrong: it depends on whether the right ones were
// agreed on before.
func unusable() []string { return []string{"digest_conflict", "source_unusable"} }

func differences() []difference {
	return []difference{
		{name: "event", edit: func(*platform.Event) {}},
		{name: "participants", edit: func(e *platform.Event) {
			e.Participants = []platform.Participant{{ID: "p-9", Role: "supervisor", Name: "Hildegard Zweitname"}}
		}},
		{name: "tags", edit: func(e *platform.Event) { e.Tags = map[string]string{"queue": "another"} }},
		{
			name: "format", spec: platform.Spec{Format: "m4a"}, edit: func(e *platform.Event) { e.MediaFormat = "mp4" },
			reasons: []string{"digest_conflict"},
		},
		{name: "sha256", spec: platform.Spec{SendSHA256: true}, edit: claimOtherBytes, reasons: unusable()},
		{name: "size", spec: platform.Spec{SendSize: true}, edit: func(e *platform.Event) { *e.Size += 1000 }, reasons: unusable()},
	}
}

// pair is one recording and its two webhooks.
type pair struct {
	difference
	recording *platform.Recording
}

func (p pair) other(e *platform.Event) {
	e.EventID += "-other"
	p.edit(e)
}

// given two different webhooks for one recording, when they come one after the other, in either order, or together, then
// each is answered 200, both tiers hold one object and one sidecar, the same, and what contradicts is in the dead letters.
func TestTwoWebhooksOneRecording(t *testing.T) {
	t.Parallel()
	orders := []struct {
		name string
		send func(b *bed, pairs []pair)
	}{
		{"straight", func(b *bed, pairs []pair) { b.first(pairs); b.settle(); b.later(pairs) }},
		{"reverse", func(b *bed, pairs []pair) { b.later(pairs); b.settle(); b.first(pairs) }},
		{"together", func(b *bed, pairs []pair) {
			var both sync.WaitGroup
			both.Go(func() { b.first(pairs) })
			both.Go(func() { b.later(pairs) })
			both.Wait()
		}},
	}
	b := newBed(t, setup{platform: platform.Config{Seed: 34}, env: map[string]string{"TWINREEL_RETRY_BASE": "50ms"}})
	var all []pair
	for _, order := range orders {
		pairs := b.pairs(order.name, 3)
		order.send(b, pairs)
		b.settle()
		all = append(all, pairs...)
	}
	b.sound(len(all))
	b.contradicted(all)
}

// pairs makes n recordings of each difference, half of them larger than a part.
func (b *bed) pairs(order string, n int) (pairs []pair) {
	b.t.Helper()
	for _, d := range differences() {
		for i := range n {
			spec := d.spec
			spec.ID, spec.Size = fmt.Sprintf("rec-%s-%s-%d", d.name, order, i), int64(i*9*mib+5000)
			pairs = append(pairs, pair{d, b.add(spec)})
		}
	}
	return pairs
}

func (b *bed) first(pairs []pair) {
	for _, p := range pairs {
		b.accepted(p.recording)
	}
}

func (b *bed) later(pairs []pair) {
	for _, p := range pairs {
		b.accepted(p.recording, p.other)
	}
}

// accepted sends a webhook from any goroutine.
func (b *bed) accepted(r *platform.Recording, edits ...func(*platform.Event)) {
	a, err := b.platform.Send(b.t.Context(), r, edits...)
	if err != nil || a.Code != "accepted" {
		b.t.Errorf("webhook of %s: %d %q %v, want accepted", r.Key(), a.Status, a.Code, err)
	}
}

// contradicted holds the dead letters against the pairs: one in each tier where the webhooks contradict each other, of the
// same event in both, and none elsewhere.
func (b *bed) contradicted(pairs []pair) {
	b.t.Helper()
	reasons := make(map[string][]string) // by key
	list, err := b.fleet.Letters(b.t.Context())
	b.must(err)
	for _, l := range list {
		reasons[l.IdempotencyKey] = append(reasons[l.IdempotencyKey], l.Reason)
	}
	events := b.letterEvents()
	for _, p := range pairs {
		key := p.recording.Key()
		if len(p.reasons) == 0 {
			if len(reasons[key]) > 0 {
				b.t.Errorf("%s has dead letters %v, want none", key, reasons[key])
			}
			continue
		}
		if len(reasons[key]) != 2 {
			b.t.Errorf("%s has dead letters %v, want one in each tier", key, reasons[key])
		}
		for _, r := range reasons[key] {
			if !slices.Contains(p.reasons, r) {
				b.t.Errorf("%s is dead for %s, want one of %v", key, r, p.reasons)
			}
		}
		if len(slices.Compact(events[key])) != 1 {
			b.t.Errorf("the tiers gave up different events of %s: %v", key, events[key])
		}
	}
}

// letterEvents are the CloudEvents IDs of all dead letters, by recording.
func (b *bed) letterEvents() map[string][]string {
	b.t.Helper()
	out := make(map[string][]string)
	err := b.each(b.t.Context(), "RECORDINGS_DLQ", func(m *jetstream.RawStreamMsg) {
		var e struct {
			ID   string
			Data struct{ IdempotencyKey string }
		}
		b.should(json.Unmarshal(m.Data, &e))
		out[e.Data.IdempotencyKey] = append(out[e.Data.IdempotencyKey], e.ID)
	})
	b.must(err)
	return out
}

// given one webhook that comes sixteen times at once, then exactly one is accepted, and there is one object in each tier.
func TestParallelDuplicatesStoreOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 35}})
	const recordings, copies = 10, 16
	var mu sync.Mutex
	codes := make(map[string]int)
	var all sync.WaitGroup
	for range recordings {
		r := b.add(platform.Spec{Size: 100_000, SendSize: true})
		for range copies {
			all.Go(func() {
				a, err := b.platform.Send(t.Context(), r)
				b.should(err)
				mu.Lock()
				defer mu.Unlock()
				codes[a.Code]++
			})
		}
	}
	all.Wait()
	if codes["accepted"] != recordings || codes["duplicate"] != recordings*(copies-1) {
		t.Errorf("answers %v, want %d accepted and the others duplicates", codes, recordings)
	}
	b.settle()
	b.sound(recordings)
	b.noLetters()
	b.outcomes(map[string]float64{"stored": 2 * recordings})
}

// outcomes holds the sum over both workers of what became of deliveries against what it must be.
func (b *bed) outcomes(want map[string]float64) {
	b.t.Helper()
	got := make(map[string]float64)
	for _, p := range []*fleet.Program{b.primary, b.backup} {
		m, err := p.Metrics(b.t.Context())
		b.must(err)
		for name := range want {
			got[name] += m.Sum("twinreel_deliveries_total", fmt.Sprintf("outcome=%q", name))
		}
	}
	for name, n := range want {
		if got[name] != n {
			b.t.Errorf("deliveries that ended as %s: %v, want %v", name, got[name], n)
		}
	}
}

// given a platform that encodes a recording anew between the two tiers' reading, then the tier that comes second gives up
// with digest_conflict, and stores nothing.
func TestReencodedBetweenTiers(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 37}})
	for i := range 4 {
		b.send(b.add(platform.Spec{
			ID: fmt.Sprintf("rec-changed-%d", i), Size: int64(5000 + i*6*mib), SendSize: true, Faults: platform.Faults{Reencoded: true, After: 1},
		}))
	}
	b.settle()
	report := b.compare()
	if !report.Sound() || report.Copies["primary"].Recordings+report.Copies["backup"].Recordings != 4 {
		t.Errorf("copies %+v, want four in all, all sound\n%s", report.Copies, report)
	}
	for text := range b.letters() {
		if !strings.HasSuffix(text, " digest_conflict") {
			t.Errorf("dead letter %s", text)
		}
	}
	if n := len(b.letters()); n != 4 {
		t.Errorf("%d dead letters, want 4", n)
	}
	b.eventually(10*time.Second, "the record says partial", func(context.Context) error {
		r, err := b.show("rec-changed-0")
		if err == nil && r.Status != "partial" {
			err = fmt.Errorf("it says %s", r.Status)
		}
		return err
	})
}
