package letters

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/reconciler/internal/scan"
)

// Full is one letter with its headers and with what may be shown of its event.
type Full struct {
	Letter
	OriginSubject  string       `json:"originSubject"`
	OriginSequence uint64       `json:"originSequence"`
	Traceparent    string       `json:"traceparent"`
	Bytes          int          `json:"bytes"`         // length of the body
	Event          *event.Event `json:"event"`         // null where the body is no readable event
	EventError     string       `json:"eventError"`    // why it is none
	UnknownFields  []string     `json:"unknownFields"` // names in data that this program does not know; their values are not shown
}

// Find returns every letter of the recording of that idempotency key, oldest first, ungrouped; never nil.
func Find(ctx context.Context, js jetstream.JetStream, key string) ([]Full, error) {
	out := []Full{}
	err := scan.Stream(ctx, js, queue.DeadLetters, scan.Range{}, func(m scan.Message) error {
		if l, q, err := open(message{m.Subject, m.Sequence, m.Stored, m.Header, m.Body}); l.IdempotencyKey == key {
			out = append(out, fullOf(l, q, err))
		}
		return nil
	})
	return out, err
}

// Get returns the letter of that sequence, in a list that is empty if there is none.
func Get(ctx context.Context, js jetstream.JetStream, sequence uint64) ([]Full, error) {
	stream, err := js.Stream(ctx, queue.DeadLetters)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("stream %s: %w", queue.DeadLetters, queue.ErrNotProvisioned)
	}
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", queue.DeadLetters, err)
	}
	m, err := stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return []Full{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read dead letter %d: %w", sequence, err)
	}
	l, q, err := open(message{m.Subject, m.Sequence, m.Time, m.Header, m.Data})
	return []Full{fullOf(l, q, err)}, nil
}

func fullOf(l Letter, q queue.Letter, eventErr error) Full {
	f := Full{
		Letter: l, OriginSubject: fault.Clean(q.OriginSubject), OriginSequence: q.OriginSeq, Traceparent: fault.Clean(q.Traceparent),
		Bytes: len(q.Body), EventError: fault.Text(eventErr), UnknownFields: []string{},
	}
	e, err := event.Parse(q.Body)
	if err != nil {
		return f
	}
	f.UnknownFields = slices.AppendSeq(f.UnknownFields, maps.Keys(e.Data.Extra))
	slices.Sort(f.UnknownFields)
	e = redact(e)
	f.Event = &e
	return f
}

// redact returns the event without links, which open the media, and without what tells who took part.
func redact(e event.Event) event.Event {
	d := &e.Data
	d.Extra = nil
	d.Media.URL = host(d.Media.URL)
	if d.CopyFrom != nil {
		c := *d.CopyFrom
		c.URL = host(c.URL)
		d.CopyFrom = &c
	}
	if d.Sidecar != "" {
		d.Sidecar = "(present)"
	}
	people := make([]event.Participant, 0, len(d.Participants))
	for _, p := range d.Participants {
		kept := event.Participant{}
		for _, name := range []string{"id", "role"} {
			if v, ok := p[name]; ok {
				kept[name] = v
			}
		}
		people = append(people, kept)
	}
	d.Participants = people
	return e
}

// host returns a URL's host, "" for no URL.
func host(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Host
}
