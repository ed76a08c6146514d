package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
)

// errNoMessage is returned where the stream has no such message.
var errNoMessage = errors.New("the stream has no such message")

// message is what the stream's leader says of one message.
type message struct {
	Sequence uint64    `json:"seq"`
	Time     time.Time `json:"time"`
}

// request is STREAM.MSG.GET's.
type request struct {
	Sequence uint64 `json:"seq,omitempty"`
	Next     string `json:"next_by_subj,omitempty"`
	Last     string `json:"last_by_subj,omitempty"`
}

// ask asks the stream's leader. The client would ask any replica (direct get), and one that lags does not know the newest:
// what it lacks would be sealed as lost.
func (s *Sealer) ask(ctx context.Context, r request) (message, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := json.Marshal(r)
	if err != nil {
		return message{}, err
	}
	answer, err := s.JS.Conn().RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+queue.Audit, body)
	if err != nil {
		return message{}, fault.New(fault.Unavailable, fault.Queue, "ask the leader of "+queue.Audit, queue.Refused(s.JS.Conn(), err))
	}
	var out struct {
		Message *message            `json:"message"`
		Error   *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &out); err != nil {
		return message{}, fmt.Errorf("ask the leader of %s: %w", queue.Audit, err)
	}
	switch {
	case out.Error != nil && out.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return message{}, errNoMessage
	case out.Error != nil:
		return message{}, fmt.Errorf("ask the leader of %s: %w", queue.Audit, out.Error)
	case out.Message == nil:
		return message{}, fmt.Errorf("ask the leader of %s: an empty answer", queue.Audit)
	}
	return *out.Message, nil
}

// patience is how long one answer of NATS may take.
const patience = 5 * time.Second

// at returns the first message from a sequence on, of a subject or of all. errNoMessage.
func (s *Sealer) at(ctx context.Context, from uint64, subject string) (message, error) {
	if subject == "" {
		subject = "audit.>"
	}
	return s.ask(ctx, request{Sequence: from, Next: subject})
}

// lastMark returns the sequence of the last mark in the stream, 0 if there is none.
func (s *Sealer) lastMark(ctx context.Context) (uint64, error) {
	m, err := s.ask(ctx, request{Last: markSubject()})
	if errors.Is(err, errNoMessage) {
		return 0, nil
	}
	return m.Sequence, err
}
