package scan

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// followed is a Follower that runs until the test ends, and what it has visited.
type followed struct {
	*Follower
	mu   sync.Mutex
	seen []uint64
}

func follow(t *testing.T, js jetstream.JetStream, r Range) *followed {
	t.Helper()
	f := &followed{}
	f.Follower = &Follower{JS: js, Stream: "S", Range: r, Log: zap.NewNop(), Visit: func(m Message) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.seen = append(f.seen, m.Sequence)
	}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return f
}

// wants waits until exactly these were visited.
func (f *followed) wants(t *testing.T, want ...uint64) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		f.mu.Lock()
		got := slices.Clone(f.seen)
		f.mu.Unlock()
		if slices.Equal(got, want) && f.Whole() {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("visited %v, want %v", got, want)
		case <-tick.C:
		}
	}
}

func TestAFollowerVisitsWhatIsThereAndWhatComes(t *testing.T) {
	js := stream(t, 3)
	f := follow(t, js, Range{})
	f.wants(t, 1, 2, 3)
	publish(t, js, 3)
	f.wants(t, 1, 2, 3, 4)
	if f.Through() != 4 {
		t.Errorf("through %d", f.Through())
	}
	follow(t, js, Range{Subjects: []string{"s.b"}, From: 3}).wants(t, 4)
	follow(t, js, Range{Since: time.Now().Add(-time.Hour), Headers: true}).wants(t, 1, 2, 3, 4)
}

func TestAFollowerOfAnEmptyStreamIsWholeAtOnce(t *testing.T) {
	js := stream(t, 2)
	f := follow(t, js, Range{Subjects: []string{"s.none"}})
	f.wants(t)
	if f.Through() != 2 {
		t.Errorf("through %d, want 2: there is nothing for it up to there", f.Through())
	}
}

func TestAFollowerGoesOnWhereItWasWhenItsConsumerIsGone(t *testing.T) {
	js := stream(t, 2)
	f := follow(t, js, Range{})
	f.wants(t, 1, 2)
	s, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.ConsumerNames(t.Context()).Name() {
		if err := s.DeleteConsumer(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, js, 2)
	f.wants(t, 1, 2, 3)
}

func TestAFollowerThatIsToldToStopLeavesNoConsumerBehind(t *testing.T) {
	js := stream(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	f := &Follower{JS: js, Stream: "S", Log: zap.NewNop(), Visit: func(m Message) {
		if m.Sequence == 2 {
			cancel()
		}
	}}
	f.Run(ctx)
	if n := consumers(t, js); n != 0 {
		t.Errorf("%d consumers stay", n)
	}
}

// As if the stream had been deleted and made anew while the follower was cut off.
func TestAFollowerThatIsAheadOfItsStreamBeginsAnew(t *testing.T) {
	js := stream(t, 3)
	f := &Follower{JS: js, Stream: "S", Log: zap.NewNop(), through: 9}
	seen := make(chan uint64, 3)
	f.Visit = func(m Message) { seen <- m.Sequence }
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go f.Run(ctx)
	for want := range uint64(3) {
		select {
		case got := <-seen:
			if got != want+1 {
				t.Errorf("visited %d, want %d", got, want+1)
			}
		case <-ctx.Done():
			t.Fatal("not in time")
		}
	}
}
