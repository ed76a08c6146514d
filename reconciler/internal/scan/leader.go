package scan

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

// ErrNoMessage is returned where the stream has no such message.
var ErrNoMessage = errors.New("the stream has no such message")

// Found is what the stream's leader says of one message.
type Found struct {
	Sequence uint64    `json:"seq"`
	Time     time.Time `json:"time"`
}

// Request is STREAM.MSG.GET's: the first message of Next from Sequence or Since on, or the last of Last.
type Request struct {
	Sequence uint64     `json:"seq,omitempty"`
	Since    *time.Time `json:"start_time,omitempty"`
	Next     string     `json:"next_by_subj,omitempty"`
	Last     string     `json:"last_by_subj,omitempty"`
}

// Ask asks the stream's leader. The client would ask any replica (direct get), and one that lags does not know the newest:
// what it lacks would be taken for lost. ErrNoMessage.
func Ask(ctx context.Context, js jetstream.JetStream, stream string, r Request) (Found, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := json.Marshal(r)
	if err != nil {
		return Found{}, err
	}
	answer, err := js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, body)
	if err != nil {
		return Found{}, fault.New(fault.Unavailable, fault.Queue, "ask the leader of "+stream, queue.Refused(js.Conn(), err))
	}
	var out struct {
		Message *Found              `json:"message"`
		Error   *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &out); err != nil {
		return Found{}, fmt.Errorf("ask the leader of %s: %w", stream, err)
	}
	switch {
	case out.Error != nil && out.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return Found{}, ErrNoMessage
	case out.Error != nil:
		return Found{}, fmt.Errorf("ask the leader of %s: %w", stream, out.Error)
	case out.Message == nil:
		return Found{}, fmt.Errorf("ask the leader of %s: an empty answer", stream)
	}
	return *out.Message, nil
}

// behind returns the first message of the range behind the sequence that was visited last, 0 if none was, as the stream's
// leader has it. ErrNoMessage.
func (r Range) behind(ctx context.Context, js jetstream.JetStream, stream string, visited uint64) (uint64, error) {
	subjects := r.Subjects
	if len(subjects) == 0 {
		subjects = []string{">"}
	}
	first := uint64(0)
	for _, subject := range subjects {
		ask := Request{Next: subject, Sequence: max(r.From, visited+1)}
		if visited == 0 && !r.Since.IsZero() {
			ask.Sequence, ask.Since = 0, &r.Since
		}
		found, err := Ask(ctx, js, stream, ask)
		if errors.Is(err, ErrNoMessage) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if first == 0 || found.Sequence < first {
			first = found.Sequence
		}
	}
	if first == 0 {
		return 0, ErrNoMessage
	}
	return first, nil
}
