package queue

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/tier"
)

// value is what a bucket holds for a key.
func value(t *testing.T, key string, revision uint64, stored time.Time, v any) Value {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return Value{Key: key, Data: body, Revision: revision, Stored: stored}
}

var (
	ill  = tier.View{State: tier.Degraded}
	noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
)

func TestAViewLapsesByTheReadersClockHoweverOftenItIsRead(t *testing.T) {
	// A server whose clock is an hour ahead, or that does not let values lapse, gives out the same revision again and again.
	told := value(t, "primary.w-1", 7, noon.Add(time.Hour), ill)
	n := newNotes()
	for at := time.Duration(0); at < 3*time.Minute; at += time.Second {
		n = n.next([]Value{told}, noon.Add(at))
		if got := len(n.standings(noon.Add(at))[tier.Primary].Views); (got == 1) != (at < time.Minute) {
			t.Fatalf("after %v: %d views", at, got)
		}
	}
	renewed := value(t, "primary.w-1", 8, noon.Add(time.Hour), ill)
	if n = n.next([]Value{renewed}, noon.Add(3*time.Minute)); len(n.standings(noon.Add(3 * time.Minute))[tier.Primary].Views) != 1 {
		t.Error("renewed, and not believed")
	}
	again := value(t, "primary.w-1", 8, noon.Add(2*time.Hour), ill) // of a bucket made anew, by chance under the same number
	if n = n.next([]Value{again}, noon.Add(4*time.Minute)); len(n.standings(noon.Add(4 * time.Minute))[tier.Primary].Views) != 1 {
		t.Error("told to a new bucket, and not believed")
	}
}

func TestAPauseDoesNotLapse(t *testing.T) {
	n := newNotes().next([]Value{value(t, "primary.paused", 1, noon, tier.Pause{Reason: "move"})}, noon)
	if p := n.standings(noon.Add(1000 * time.Hour))[tier.Primary].Pause; p == nil || p.Reason != "move" {
		t.Errorf("got %+v", p)
	}
	if p := n.next(nil, noon).standings(noon)[tier.Primary].Pause; p != nil {
		t.Errorf("not on the board any more: %+v", p)
	}
}

func TestWhatCannotBeReadOnTheBoard(t *testing.T) {
	n := newNotes().next([]Value{
		{Key: "primary.w-1", Data: []byte("{")},
		{Key: "primary.paused", Data: []byte("{")},
		{Key: "tertiary.w-1", Data: []byte("{}")},
		{Key: "backup", Data: []byte("{}")},
		{Key: "backup.", Data: []byte("{}")},
	}, noon)
	s := n.standings(noon)
	if len(s) != 2 || len(s[tier.Primary].Views) != 0 || len(s[tier.Backup].Views) != 0 {
		t.Errorf("got %+v", s)
	}
	if p := s[tier.Primary].Pause; p == nil || p.Reason != "unreadable" {
		t.Errorf("a pause that cannot be read is a pause all the same: %+v", p)
	}
}
