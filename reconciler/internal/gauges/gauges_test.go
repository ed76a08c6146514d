package gauges

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// account is this package's JetStream world.
const account = "test26"

func TestOnlyTheLeaderTellsWhatWaits(t *testing.T) {
	nc, js := testenv.Account(t, account)
	sizes := queue.Sizes{Recordings: 16 << 20, Letters: 8 << 20, Audit: 4 << 20, MaxAge: time.Hour}
	if _, err := queue.Provision(t.Context(), js, sizes, 1); err != nil {
		t.Fatal(err)
	}
	e := event.New(event.Data{RecordingID: "rec-1", Source: "default", Media: event.Media{URL: "https://cdn.example.com/a", Format: "wav"}}, "e", time.Now())
	if _, err := queue.NewPublisher(nc, js).Completed(t.Context(), queue.Backup, e, ""); err != nil {
		t.Fatal(err)
	}
	r := prometheus.NewPedanticRegistry()
	g := New(js, queue.Peer{}, r, zap.NewNop())
	if n, err := testutil.GatherAndCount(r); n != 0 || err != nil {
		t.Errorf("%d metrics before it leads, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.Run(ctx, func() map[tier.Tier]map[queue.Reason]int {
			return map[tier.Tier]map[queue.Reason]int{tier.Primary: {queue.SourceGone: 2}, tier.Backup: {}}
		})
	}()
	deadline := time.After(20 * time.Second)
	for n := 0; n < 2*3+2+2*7+3+3; {
		n, _ = testutil.GatherAndCount(r)
		select {
		case <-deadline:
			t.Fatalf("%d metrics", n)
		case <-time.After(5 * time.Millisecond):
		}
	}
	want := `
# HELP twinreel_backlog Events that a tier has not done with: live, backfill and peer (the other region's) wait, redelivering were delivered more than once.
# TYPE twinreel_backlog gauge
twinreel_backlog{kind="backfill",tier="backup"} 0
twinreel_backlog{kind="backfill",tier="primary"} 1
twinreel_backlog{kind="live",tier="backup"} 1
twinreel_backlog{kind="live",tier="primary"} 0
twinreel_backlog{kind="redelivering",tier="backup"} 0
twinreel_backlog{kind="redelivering",tier="primary"} 0
# HELP twinreel_stream_max_bytes Bytes that a stream may hold.
# TYPE twinreel_stream_max_bytes gauge
twinreel_stream_max_bytes{stream="AUDIT"} 4.194304e+06
twinreel_stream_max_bytes{stream="RECORDINGS"} 1.6777216e+07
twinreel_stream_max_bytes{stream="RECORDINGS_DLQ"} 8.388608e+06
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "twinreel_backlog", "twinreel_stream_max_bytes"); err != nil {
		t.Error(err)
	}
	cancel()
	<-ended
	if n, err := testutil.GatherAndCount(r); n != 0 || err != nil {
		t.Errorf("%d metrics after it has led, %v", n, err)
	}
}
