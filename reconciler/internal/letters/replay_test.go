package letters

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// account is this package's JetStream world.
const account = "test23"

// notes remembers what was noted, and can be away.
type notes struct {
	said []string
	err  error
}

func (n *notes) Letter(_ context.Context, id string, t tier.Tier, reason string) error {
	n.said = append(n.said, t.String()+" "+id+" "+reason)
	return n.err
}

// replayer returns a replayer on provisioned streams, with one letter of each of so many events of one recording.
func replayer(t *testing.T, events int) (*Replayer, *notes, []Group) {
	t.Helper()
	nc, js := testenv.Account(t, account)
	sizes := queue.Sizes{Recordings: 16 << 20, Letters: 16 << 20, Audit: 16 << 20, MaxAge: time.Hour}
	if _, err := queue.Provision(t.Context(), js, sizes, 1); err != nil {
		t.Fatal(err)
	}
	p := queue.NewPublisher(nc, js)
	for i := range events {
		body := []byte(string(completed(t)))
		body = append(body[:len(body)-1], []byte(`,"id":"event-`+string(rune('a'+i))+`"}`)...)
		err := p.Letter(t.Context(), queue.Letter{
			Tier: tier.Primary, Body: body, Reason: queue.SourceGone, OriginStream: queue.Recordings, OriginSeq: uint64(i + 1), DeadAt: time.Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	groups, err := Read(t.Context(), js)
	if err != nil || len(groups) != 1 {
		t.Fatalf("got %+v, %v", groups, err)
	}
	n := &notes{}
	r := &Replayer{JS: js, Publisher: p, Notes: n, NotesAway: func(error) {}, Rate: rate.NewLimiter(rate.Inf, 1), By: "ops@host", Now: time.Now}
	r.Know(groups)
	return r, n, groups
}

func messages(t *testing.T, js jetstream.JetStream, stream string) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func TestReplaySkipsLettersThatSomebodyElseHasRemoved(t *testing.T) {
	r, _, groups := replayer(t, 3)
	s, err := r.JS.Stream(t.Context(), queue.DeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if refused, err := r.Replay(t.Context(), groups[0]); err != nil || len(refused) > 0 {
		t.Errorf("got %v, %v", refused, err)
	}
	if sent, left := messages(t, r.JS, queue.Recordings), messages(t, r.JS, queue.DeadLetters); sent != 2 || left != 0 {
		t.Errorf("%d sent, %d left", sent, left)
	}
	if refused, err := r.Replay(t.Context(), groups[0]); err != nil || len(refused) > 0 || messages(t, r.JS, queue.Recordings) != 2 {
		t.Errorf("with all of them gone: %v, %v", refused, err)
	}
}

func TestReplayBrokenOffBetweenTwoEventsIsFinishedByTheNext(t *testing.T) {
	r, n, groups := replayer(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	r.Rate = rate.NewLimiter(rate.Every(time.Hour), 1) // the second event has to wait
	r.Now = func() time.Time { cancel(); return time.Now() }
	if _, err := r.Replay(ctx, groups[0]); err == nil {
		t.Fatal("want the interruption as an error")
	}
	if sent, left := messages(t, r.JS, queue.Recordings), messages(t, r.JS, queue.DeadLetters); sent != 1 || left != 2 {
		t.Errorf("%d sent, %d left; want 1 and 2", sent, left)
	}
	if last := n.said[len(n.said)-1]; last != "primary rec-1 source_gone" {
		t.Errorf("noted %q at last", last)
	}
	r.Rate, r.Now = rate.NewLimiter(rate.Inf, 1), time.Now
	if _, err := r.Replay(t.Context(), groups[0]); err != nil {
		t.Fatal(err)
	}
	if sent, left, audited := messages(t, r.JS, queue.Recordings), messages(t, r.JS, queue.DeadLetters), messages(t, r.JS, queue.Audit); sent != 2 || left != 0 || audited != 2 {
		t.Errorf("%d sent, %d left, %d audited; want 2, 0, 2", sent, left, audited)
	}
	if last := n.said[len(n.said)-1]; last != "primary rec-1 " {
		t.Errorf("noted %q at last", last)
	}
}

func TestReplayAsksALedgerThatIsAwayOnlyOnce(t *testing.T) {
	r, n, groups := replayer(t, 1)
	n.err = errors.New("away")
	told := 0
	r.NotesAway = func(error) { told++ }
	for range 2 {
		if _, err := r.Replay(t.Context(), groups[0]); err != nil {
			t.Fatal(err)
		}
	}
	if told != 1 || len(n.said) != 1 {
		t.Errorf("told %d times, asked %d times", told, len(n.said))
	}
}
