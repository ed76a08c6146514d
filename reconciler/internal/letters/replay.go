package letters

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/redrive"
)

// Notes is the part of the ledger that replaying keeps in step: whether a recording has an open letter.
type Notes interface {
	Letter(ctx context.Context, id string, t tier.Tier, reason string) error
}

// Replayer sends the events of dead letters again, each to the tier that gave it up. It also discards letters.
//
// For each group it publishes every distinct event to the tier's redrive subject and waits for the stream's
// acknowledgement, publishes the audit event and waits for its acknowledgement, and only then removes the letters. A crash
// anywhere leaves the event in RECORDINGS, in RECORDINGS_DLQ, or in both; replaying again within the duplicate window
// publishes nothing twice, because the message IDs are made from the letters' sequences.
type Replayer struct {
	JS        jetstream.JetStream
	Publisher *queue.Publisher
	Notes     Notes         // nil: there is no ledger to keep in step
	NotesAway func(error)   // called once, when Notes first failed; Notes is not asked again
	Rate      *rate.Limiter // of events
	By        string        // who replays or discards, for the audit log
	// GivenUp is told of each recording whose letters are about to be discarded.
	GivenUp func(ctx context.Context, l Letter, why string) error
	// Erased tells whether a recording was forgotten; nil: it is not asked.
	Erased func(ctx context.Context, key string) (bool, error)
	Now    func() time.Time

	open map[recording]map[uint64]queue.Reason // open letters as known, by recording and sequence
}

type recording struct {
	tier tier.Tier
	key  string
}

// Refusal is a letter that cannot be replayed. It stays.
type Refusal struct {
	Sequence uint64
	Err      error
}

// ErrUnreadable is the refusal of a letter whose body is no event that this program can read.
var ErrUnreadable = errors.New("the letter holds no event that can be sent again (see it with `dlq show`)")

// ErrForgotten is the refusal of a letter whose recording was erased on purpose.
var ErrForgotten = errors.New("the recording was forgotten and is not brought back (`recording forget` removes its letters)")

// Refused returns the letters of g that Replay would refuse, as far as can be told beforehand.
func Refused(g Group) []Refusal {
	var out []Refusal
	for _, l := range g.Letters {
		if l.EventID == "" {
			out = append(out, Refusal{l.Sequence, ErrUnreadable})
		}
	}
	return out
}

// Know tells the replayer of all open letters, so that it can say what remains of a recording.
func (r *Replayer) Know(all []Group) {
	r.open = map[recording]map[uint64]queue.Reason{}
	for _, g := range all {
		for _, l := range g.Letters {
			n := recording{l.Tier, l.IdempotencyKey}
			if r.open[n] == nil {
				r.open[n] = map[uint64]queue.Reason{}
			}
			r.open[n][l.Sequence] = l.Reason
		}
	}
}

// Replay sends one group's events again and removes its letters. Refused letters stay. When it returns an error no
// letter is lost: those not removed can be replayed again.
func (r *Replayer) Replay(ctx context.Context, g Group) ([]Refusal, error) {
	if refused, err := r.erased(ctx, g); err != nil || len(refused) > 0 {
		return refused, err
	}
	sendings, refused, err := r.prepare(ctx, g)
	if err != nil || len(sendings) == 0 {
		return refused, err
	}
	var going []uint64
	for _, s := range sendings {
		going = append(going, s.sequences...)
	}
	restore := r.note(ctx, g, going)
	for _, s := range sendings {
		if err := r.send(ctx, s); err != nil {
			restore()
			return refused, fmt.Errorf("replay dead letter %d of %s: %w", s.newest.Sequence, s.newest.Tier, err)
		}
	}
	for _, s := range sendings {
		for _, seq := range s.sequences {
			if err := Remove(ctx, r.JS, seq); err != nil {
				restore()
				return refused, fmt.Errorf("the events are sent again, but dead letter %d cannot be removed (repeat the command): %w", seq, err)
			}
		}
	}
	return refused, nil
}

// erased refuses all letters of a recording that was forgotten. The workers would not store it either.
func (r *Replayer) erased(ctx context.Context, g Group) (out []Refusal, err error) {
	key := g.Shown().IdempotencyKey
	if r.Erased == nil || key == "" {
		return nil, nil
	}
	known, err := r.Erased(ctx, key)
	if err != nil || !known {
		return nil, err
	}
	for _, l := range g.Letters {
		out = append(out, Refusal{l.Sequence, ErrForgotten})
	}
	return out, nil
}

// sending is one event to be sent again, and the letters that hold it.
type sending struct {
	newest    Letter
	trace     string
	body      []byte   // the redrive event
	sequences []uint64 // ascending: the newest, which names the message ID, is removed last
}

// prepare reads the letters' bodies: one sending for each distinct event, as its newest letter has it. A letter that is
// gone meanwhile was dealt with by somebody else.
func (r *Replayer) prepare(ctx context.Context, g Group) ([]*sending, []Refusal, error) {
	var out []*sending
	var refused []Refusal
	byEvent := map[string]*sending{}
	stream, err := r.JS.Stream(ctx, queue.DeadLetters)
	if err != nil {
		return nil, nil, fmt.Errorf("read dead letters: %w", err)
	}
	for _, l := range g.Letters {
		raw, err := stream.GetMsg(ctx, l.Sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read dead letter %d: %w", l.Sequence, err)
		}
		_, q, err := open(message{raw.Subject, raw.Sequence, raw.Time, raw.Header, raw.Data})
		if err != nil {
			refused = append(refused, Refusal{l.Sequence, ErrUnreadable})
			continue
		}
		body, err := redrive.Of(raw.Data, event.ReasonReplay, redrive.Sibling{})
		if err != nil {
			refused = append(refused, Refusal{l.Sequence, err})
			continue
		}
		s := byEvent[l.EventID]
		if s == nil {
			s = &sending{}
			byEvent[l.EventID], out = s, append(out, s)
		}
		s.newest, s.trace, s.body, s.sequences = l, q.Traceparent, body, append(s.sequences, l.Sequence)
	}
	return out, refused, nil
}

// send publishes one event and its audit event, and waits for both acknowledgements.
func (r *Replayer) send(ctx context.Context, s *sending) error {
	if err := r.Rate.Wait(ctx); err != nil {
		return err
	}
	l := s.newest
	if _, err := r.Publisher.Redrive(ctx, l.Tier, messageID(l), s.trace, s.body); err != nil {
		return err
	}
	return r.Publisher.Audit(ctx, event.Audit{
		Kind: event.AuditReplayed, Tier: l.Tier.String(), Time: r.Now(),
		MsgID: event.DeliveryID(event.AuditReplayed, l.Tier.String(), queue.DeadLetters, l.Sequence),
		Data: event.AuditData{
			Tier: l.Tier.String(), IdempotencyKey: l.IdempotencyKey, ObjectKey: l.ObjectKey, Reason: string(l.Reason), By: r.By,
		},
	})
}

// messageID is the redrive's message ID: another than the event had, the same for each try to replay this letter.
func messageID(l Letter) string {
	return fmt.Sprintf("replay/%s/%s/%d/%s", l.Tier, queue.DeadLetters, l.Sequence, event.HashKey(l.EventID)[:16])
}

// Remove removes a letter. One that somebody else has removed is no error.
func Remove(ctx context.Context, js jetstream.JetStream, seq uint64) error {
	return remove(ctx, js, seq, jetstream.Stream.DeleteMsg)
}

// Erase is Remove of a letter whose bytes must not stay on the server's disk either.
func Erase(ctx context.Context, js jetstream.JetStream, seq uint64) error {
	return remove(ctx, js, seq, jetstream.Stream.SecureDeleteMsg)
}

func remove(ctx context.Context, js jetstream.JetStream, seq uint64, how func(jetstream.Stream, context.Context, uint64) error) error {
	stream, err := js.Stream(ctx, queue.DeadLetters)
	if err != nil {
		return err
	}
	if err = how(stream, ctx, seq); err != nil && gone(ctx, stream, seq) {
		err = nil
	}
	return err
}

// gone looks whether a message that could not be removed is there: the server's answer is the same for both.
func gone(ctx context.Context, stream jetstream.Stream, seq uint64) bool {
	_, err := stream.GetMsg(ctx, seq)
	return errors.Is(err, jetstream.ErrMsgNotFound)
}

// note writes into the ledger what letter the recording has left once those of the sequences are gone, and returns what
// takes that back. It is written first, because a worker that gives up again must have the last word.
func (r *Replayer) note(ctx context.Context, g Group, going []uint64) (restore func()) {
	shown := g.Shown()
	n := recording{shown.Tier, shown.IdempotencyKey}
	before := map[uint64]queue.Reason{}
	for _, seq := range going {
		if reason, ok := r.open[n][seq]; ok {
			before[seq] = reason
		}
		delete(r.open[n], seq)
	}
	r.write(ctx, n)
	return func() {
		for seq, reason := range before {
			r.open[n][seq] = reason
		}
		r.write(context.WithoutCancel(ctx), n)
	}
}

// write notes the newest open letter's reason, "" for none.
func (r *Replayer) write(ctx context.Context, n recording) {
	if r.Notes == nil {
		return
	}
	var newest uint64
	for seq := range r.open[n] {
		newest = max(newest, seq)
	}
	if err := r.Notes.Letter(ctx, n.key, n.tier, string(r.open[n][newest])); err != nil {
		r.Notes = nil
		r.NotesAway(err)
	}
}
