package repair

import (
	"context"
	"errors"
	"testing"
	"time"
)

// line is a tier's backlog behind a gate, of which each nap takes some away.
type line struct {
	pending, taken, naps, asked int
	at                          time.Time
}

func (l *line) gate(ahead int) *gate {
	return &gate{
		ahead: ahead, now: func() time.Time { return l.at },
		ask: func(context.Context) (int, error) { l.asked++; return l.pending, nil },
		pause: func(_ context.Context, d time.Duration) {
			l.naps, l.at = l.naps+1, l.at.Add(d)
			l.pending = max(0, l.pending-l.taken)
		},
	}
}

// send sends up to n copies, and returns how many were let through.
func (l *line) send(t *testing.T, g *gate, n int) (sent int) {
	t.Helper()
	for range n {
		open, err := g.pass(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if open {
			sent++
			l.pending++
			g.sent()
		}
	}
	return sent
}

func TestCopiesWaitWhileTheirTierHasABacklog(t *testing.T) {
	l := &line{taken: 100}
	highest := 0
	g := l.gate(1000)
	for range 5000 {
		l.send(t, g, 1)
		highest = max(highest, l.pending)
	}
	if highest > 1000 || l.naps == 0 || l.asked > 5000/askEvery+2*l.naps+10 {
		t.Errorf("up to %d waited, %d naps, asked %d times", highest, l.naps, l.asked)
	}
}

func TestWhatIsBeingSentCountsAsWaiting(t *testing.T) {
	l := &line{}
	g := l.gate(10)
	for n := range 12 {
		if open, err := g.pass(t.Context()); err != nil || open != (n < 10) {
			t.Fatalf("copy %d: %v, %v", n, open, err)
		}
	}
}

func TestATierThatTakesNothingHoldsARunUpForAWhileOnly(t *testing.T) {
	l := &line{}
	g := l.gate(10)
	if got := l.send(t, g, 50); got != 10 || l.at.Sub(time.Time{}) != longest {
		t.Errorf("%d were sent, after %s", got, l.at.Sub(time.Time{}))
	}
	asked := l.asked
	if l.send(t, g, 50) != 0 || l.asked != asked {
		t.Error("it was asked again in the same run")
	}
}

func TestATierThatCannotBeAskedIsAskedAgainForAWhile(t *testing.T) {
	for name, c := range map[string]struct{ lost, sent int }{"one answer is lost": {1, 3}, "all are": {1 << 30, 0}} {
		l := &line{}
		g := l.gate(10)
		none := errors.New("no answer")
		g.ask = func(context.Context) (int, error) {
			if l.asked++; l.asked <= c.lost {
				return 0, none
			}
			return 0, nil
		}
		if got := l.send(t, g, 3); got != c.sent || l.at.Sub(time.Time{}) > longest || g.shut != errors.Is(g.why, none) || g.shut != (c.sent == 0) {
			t.Errorf("%s: %d sent, asked %d times, in %s, shut %v: %v", name, got, l.asked, l.at.Sub(time.Time{}), g.shut, g.why)
		}
	}
}

func TestWhatWaitsForATimerSlowsCopiesDownAndNoMore(t *testing.T) {
	for _, c := range []struct {
		pending        uint64
		unacknowledged int
		want           int
	}{{0, 0, 0}, {7, 5, 12}, {0, 50_000, 250}, {2000, 50_000, 2250}} {
		if got := waiting(c.pending, c.unacknowledged, 1000); got != c.want {
			t.Errorf("%d pending, %d unacknowledged: %d, want %d", c.pending, c.unacknowledged, got, c.want)
		}
	}
}

func TestAGateEndsWithTheRun(t *testing.T) {
	l := &line{}
	g := l.gate(0)
	ctx, cancel := context.WithCancel(t.Context())
	g.pause = func(context.Context, time.Duration) { cancel() }
	if open, err := g.pass(ctx); open || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", open, err)
	}
}
