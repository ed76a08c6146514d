package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/backlog"
)

func (b *bed) tiers() (primary, backup backlog.Tier) {
	b.t.Helper()
	list := decode[[]backlog.Tier](b.t, b.ok("tiers", "-o", "json").stdout)
	if len(list) != 2 || list[0].Tier != tier.Primary || list[1].Tier != tier.Backup {
		b.t.Fatalf("got %+v", list)
	}
	return list[0], list[1]
}

// take pulls n messages of a lane.
func (b *bed) take(consumer string, n int) []jetstream.Msg {
	b.t.Helper()
	c, err := b.js.Consumer(b.t.Context(), queue.Recordings, consumer)
	if err != nil {
		b.t.Fatal(err)
	}
	batch, err := c.Fetch(n, jetstream.FetchMaxWait(10*time.Second))
	if err != nil {
		b.t.Fatal(err)
	}
	var out []jetstream.Msg
	for m := range batch.Messages() {
		out = append(out, m)
	}
	if len(out) != n {
		b.t.Fatalf("%s: got %d messages, want %d: %v", consumer, len(out), n, batch.Error())
	}
	return out
}

func TestTiersShowTheContractsFieldsAndNoWorker(t *testing.T) {
	b := provisioned(t)
	list := decode[[]json.RawMessage](t, b.ok("tiers", "-o", "json").stdout)
	want := []string{
		"backfill", "backlog", "breaker", "deadLetters", "etaSeconds", "inFlight", "instances", "oldestSeconds", "reason", "redelivering", "since",
		"state", "tier", "weight",
	}
	if len(list) != 2 || !slices.Equal(keys(t, list[0]), want) {
		t.Fatalf("got %s, want the fields %v", list, want)
	}
	primary, backup := b.tiers()
	if primary.ETASeconds == nil || *primary.ETASeconds != 0 || backup.ETASeconds == nil {
		t.Errorf("in step, but not now: %+v, %+v", primary, backup)
	}
	primary.ETASeconds, backup.ETASeconds = nil, nil
	if primary != (backlog.Tier{Tier: tier.Primary, State: "unknown", Weight: 1}) || backup != (backlog.Tier{Tier: tier.Backup, State: "unknown", Weight: 1}) {
		t.Errorf("got %+v, %+v", primary, backup)
	}
	if r := b.ok("tiers", "-o", "ndjson"); strings.Count(r.stdout, "\n") != 2 {
		t.Errorf("one a line: got %s", r.stdout)
	}
	if r := b.ok("tiers"); !strings.HasPrefix(r.stdout, "TIER ") || strings.Count(r.stdout, "\n") != 3 {
		t.Errorf("as a table: got %s", r.stdout)
	}
}

func TestTiersCountWhatWaitsAndWhatIsInHand(t *testing.T) {
	b := provisioned(t)
	for i, id := range []string{"rec-1", "rec-2", "rec-3"} {
		b.accept(queue.Both, recordingEvent("default", id, i))
	}
	b.accept(queue.Backup, recordingEvent("default", "rec-4", 4))
	b.accept(queue.Primary, recordingEvent("default", "rec-5", 5))
	primary, backup := b.tiers()
	if primary.Backlog != 4 || primary.Backfill != 1 || backup.Backlog != 4 || backup.Backfill != 1 || primary.InFlight != 0 {
		t.Errorf("before: got %+v, %+v", primary, backup)
	}
	inHand := b.take("primary", 2)
	if err := inHand[0].Nak(); err != nil {
		t.Fatal(err)
	}
	b.take("primary", 1) // the one that was handed back
	primary, backup = b.tiers()
	if primary.Backlog != 2 || primary.InFlight != 2 || primary.Redelivering != 1 || backup.Backlog != 4 || backup.InFlight != 0 {
		t.Errorf("in hand: got %+v, %+v", primary, backup)
	}
}

func TestTiersAreInStepWhenAllIsAcknowledged(t *testing.T) {
	b := provisioned(t)
	b.accept(queue.Both, recordingEvent("default", "rec-1", 1))
	b.accept(queue.Both, recordingEvent("default", "rec-2", 2))
	for _, m := range b.take("primary", 2) {
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	primary, backup := b.tiers()
	if primary.Backlog != 0 || primary.InFlight != 0 || primary.OldestSeconds != 0 || backup.Backlog != 2 || backup.OldestSeconds == 0 {
		t.Errorf("got %+v, %+v", primary, backup)
	}
}

func TestOldestIsTheFirstEventThatIsNotAcknowledged(t *testing.T) {
	b := provisioned(t)
	b.accept(queue.Primary, recordingEvent("default", "rec-1", 1)) // backup's backfill
	b.accept(queue.Both, recordingEvent("default", "rec-2", 2))
	b.accept(queue.Both, recordingEvent("default", "rec-3", 3))
	msgs := b.take("primary", 3)
	for _, i := range []int{0, 2} { // the one in the middle stays
		if err := msgs[i].DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stored := make([]time.Time, 3)
	for i, m := range msgs {
		meta, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		stored[i] = meta.Timestamp
	}
	now := stored[2].Add(time.Hour)
	list, err := backlog.Read(t.Context(), b.js, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []time.Time{stored[1], stored[0]} {
		if got := list[i].OldestSeconds; got != now.Sub(want).Round(time.Millisecond).Seconds() {
			t.Errorf("%s: got %v s, want since %v", list[i].Tier, got, want)
		}
	}
}

func TestTiersCountDeadLettersAsTheListDoes(t *testing.T) {
	b := provisioned(t)
	b.giveEvent(tier.Primary, queue.SourceGone, 1, recordingEvent("default", "rec-1", 1))
	b.giveEvent(tier.Primary, queue.SourceGone, 2, recordingEvent("default", "rec-1", 2))
	b.giveEvent(tier.Primary, queue.SourceGone, 3, recordingEvent("default", "rec-2", 1))
	primary, backup := b.tiers()
	if want := len(b.listed("--tier", "primary")); primary.DeadLetters != want || want != 2 || backup.DeadLetters != 0 {
		t.Errorf("got %d and %d, the list has %d", primary.DeadLetters, backup.DeadLetters, want)
	}
}

func TestTiersSayWhatIsNotProvisioned(t *testing.T) {
	b := newBed(t)
	b.wants(1, "reconciler provision", "tiers")
	b.ok("provision")
	if err := b.js.DeleteConsumer(t.Context(), queue.Recordings, "backup-backfill"); err != nil {
		t.Fatal(err)
	}
	b.wants(1, "consumer backup-backfill: not provisioned", "tiers")
	b.ok("provision")
	b.ok("tiers")
}

func TestTiersShowWhatTheirWorkersSay(t *testing.T) {
	b := provisioned(t)
	board := queue.NewBoard(b.nc, b.js)
	since := time.Now().UTC().Truncate(time.Second)
	for instance, v := range map[string]tier.View{
		"a-1": {State: tier.Healthy, Weight: 1, Since: since}, "b-1": {State: tier.Healthy, Weight: 0.5, Since: since.Add(time.Second)},
	} {
		if err := board.Tell(t.Context(), tier.Primary, instance, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := board.Tell(t.Context(), tier.Backup, "c-1", tier.View{State: tier.Parked, Reason: "store denied", Since: since}); err != nil {
		t.Fatal(err)
	}
	primary, backup := b.tiers()
	if primary.State != "healthy" || primary.Weight != 0.75 || primary.Instances != 2 || !primary.Since.Equal(since) || primary.Breaker != "closed" {
		t.Errorf("got %+v", primary)
	}
	if backup.State != "parked" || backup.Weight != 0 || backup.Reason != "store denied" || backup.Instances != 1 || backup.Breaker != "" {
		t.Errorf("got %+v", backup)
	}
	if r := b.ok("tiers"); !strings.Contains(r.stdout, "store denied") || !strings.Contains(r.stdout, "0.75") {
		t.Errorf("as a table:\n%s", r.stdout)
	}
}

// A worker takes what waits while the command looks on.
func TestTiersTellHowLongABacklogWillTake(t *testing.T) {
	b := provisioned(t)
	for i := range 60 {
		b.accept(queue.Both, recordingEvent("default", fmt.Sprint("rec-", i), 1))
	}
	if primary, _ := b.tiers(); primary.ETASeconds != nil {
		t.Errorf("nobody works, but it takes %v s", *primary.ETASeconds)
	}
	if err := queue.NewBoard(b.nc, b.js).Tell(t.Context(), tier.Primary, "a-1", tier.View{State: tier.Healthy, Weight: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	c, err := b.js.Consumer(ctx, queue.Recordings, "primary")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(ended)
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if m, err := c.Next(); err == nil {
				_ = m.DoubleAck(ctx)
			}
		}
	}()
	primary, backup := b.tiers()
	stop()
	<-ended
	if primary.ETASeconds == nil || *primary.ETASeconds <= 0 || *primary.ETASeconds > 600 || backup.ETASeconds != nil {
		t.Errorf("got %+v, %+v", primary, backup)
	}
}
