package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// account is this package's JetStream world.
const account = "test22"

// stream makes a stream S that holds n messages, by turns on s.a and s.b.
func stream(t *testing.T, n int) jetstream.JetStream {
	t.Helper()
	_, js := testenv.Account(t, account)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		publish(t, js, i)
	}
	return js
}

func publish(t *testing.T, js jetstream.JetStream, i int) {
	t.Helper()
	if _, err := js.Publish(t.Context(), []string{"s.a", "s.b"}[i%2], fmt.Append(nil, i)); err != nil {
		t.Fatal(err)
	}
}

// read returns the sequences that a scan visits.
func read(t *testing.T, js jetstream.JetStream, r Range) []uint64 {
	t.Helper()
	var out []uint64
	err := Stream(t.Context(), js, "S", r, func(m Message) error {
		if m.Stored.IsZero() || string(m.Body) != fmt.Sprint(m.Sequence-1) {
			t.Errorf("got %+v", m)
		}
		out = append(out, m.Sequence)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStreamVisitsTheRangeInOrder(t *testing.T) {
	js := stream(t, 6)
	for _, c := range []struct {
		r    Range
		want []uint64
	}{
		{Range{}, []uint64{1, 2, 3, 4, 5, 6}},
		{Range{Subjects: []string{"s.b"}}, []uint64{2, 4, 6}},
		{Range{From: 5}, []uint64{5, 6}},
		{Range{From: 4, Subjects: []string{"s.a", "s.none"}}, []uint64{5}},
		{Range{Subjects: []string{"s.none"}}, nil},
		{Range{From: 7}, nil},
	} {
		if got := read(t, js, c.r); !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %v, want %v", c.r, got, c.want)
		}
	}
}

func TestStreamEndsWhereItEndedWhenTheReadingBegan(t *testing.T) {
	js := stream(t, 3)
	var got []uint64
	err := Stream(t.Context(), js, "S", Range{}, func(m Message) error {
		got = append(got, m.Sequence)
		publish(t, js, 0)
		return nil
	})
	if err != nil || !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestStreamSurvivesTheRemovalOfTheRest(t *testing.T) {
	const many = 2000 // more than a client takes in advance
	js := stream(t, many)
	s, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = Stream(t.Context(), js, "S", Range{}, func(Message) error {
		if seen++; seen == 1 {
			return s.Purge(t.Context())
		}
		return nil
	})
	if err != nil || seen == 0 {
		t.Errorf("saw %d: %v", seen, err)
	}
}

func TestStreamStopsAtTheVisitorsError(t *testing.T) {
	js := stream(t, 3)
	stop, seen := errors.New("enough"), 0
	err := Stream(t.Context(), js, "S", Range{}, func(Message) error { seen++; return stop })
	if !errors.Is(err, stop) || seen != 1 {
		t.Errorf("saw %d: %v", seen, err)
	}
}

// consumers returns how many consumers the stream has.
func consumers(t *testing.T, js jetstream.JetStream) int {
	t.Helper()
	s, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Consumers
}

func TestStreamLeavesNoConsumerBehind(t *testing.T) {
	js := stream(t, 6)
	for range 3 {
		read(t, js, Range{})
		read(t, js, Range{Subjects: []string{"s.none"}}) // nothing to read
	}
	enough := errors.New("enough")
	_ = Stream(t.Context(), js, "S", Range{}, func(Message) error { return enough })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_ = Stream(ctx, js, "S", Range{}, func(Message) error { cancel(); return nil })
	if n := consumers(t, js); n != 0 {
		t.Errorf("%d consumers stay", n)
	}
}

func TestStreamThatIsMissingIsNotProvisioned(t *testing.T) {
	_, js := testenv.Account(t, account)
	err := Stream(t.Context(), js, "S", Range{}, func(Message) error { return nil })
	if !errors.Is(err, queue.ErrNotProvisioned) {
		t.Errorf("got %v", err)
	}
}
