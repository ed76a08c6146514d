// Package intake publishes webhooks that were never answered: bodies from a file, one a line, held to the same rules as
// those that come over HTTP, but for their signature. What Twinreel has accepted before is left out.
package intake

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/profile"
	"github.com/twinreel/twinreel/pkg/queue"
)

// MaxLine is the longest body that is read, in bytes: more than any server's max_payload takes.
const MaxLine = 8 << 20

// MaxRefusals is how many refusals are kept; all are counted.
const MaxRefusals = 10_000

// Result is what an import came to.
type Result struct {
	Accepted int       `json:"accepted"` // published and acknowledged; in a dry run: would be
	Known    int       `json:"known"`    // accepted before, by whatever way
	Ignored  int       `json:"ignored"`  // another event than a completed recording's
	Refused  int       `json:"refused"`
	Refusals []Refusal `json:"refusals"` // the first MaxRefusals; never nil
}

// Refusal is a line that is no webhook which could be taken.
type Refusal struct {
	Line   int    `json:"line"` // from 1
	Reason string `json:"reason"`
}

// Publisher publishes an accepted recording's event, as ingress does. *queue.Publisher is one.
type Publisher interface {
	Completed(ctx context.Context, r queue.Route, e event.Event, traceparent string) (duplicate bool, err error)
}

// Importer imports. Its fields are set before Run and not changed.
type Importer struct {
	Source       string
	Participants profile.Participants
	Known        func(ctx context.Context, key string) (bool, error) // whether the recording was accepted before
	Publisher    Publisher                                           // nil: a dry run
	Rate         *rate.Limiter                                       // of what is published
	Now          func() time.Time
	Step         func(Result) // told after each line
}

// Run imports all lines. At an error, which names the line, what stands before it is done, and importing the same again
// is harmless.
func (m *Importer) Run(ctx context.Context, r io.Reader) (Result, error) {
	out := Result{Refusals: []Refusal{}}
	in := bufio.NewReaderSize(r, 64<<10)
	seen := map[string]bool{}
	for n := 1; ; n++ {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err == nil && len(line) == 0 {
			continue
		}
		if errors.Is(err, errTooLong) {
			out.refuse(n, err)
			continue
		}
		if err == nil {
			err = m.take(ctx, &out, n, line, seen)
		}
		if err != nil {
			return out, fmt.Errorf("line %d (what stands before it is done; the same may be imported again): %w", n, err)
		}
		m.Step(out)
	}
}

// take deals with one body.
func (m *Importer) take(ctx context.Context, out *Result, n int, body []byte, seen map[string]bool) error {
	w, err := profile.Parse(m.Source, body)
	switch {
	case err != nil:
		out.refuse(n, err)
		return nil
	case !w.Completed:
		out.Ignored++
		return nil
	}
	w.Data.Participants = m.Participants.Keep(w.Data.Participants)
	e := event.New(w.Data, w.EventID, m.Now())
	hash := event.HashKey(e.Data.IdempotencyKey)[:32] // shorter than most keys, and of one length
	known := seen[hash]
	if !known {
		if known, err = m.Known(ctx, e.Data.IdempotencyKey); err != nil {
			return err
		}
	}
	if known {
		out.Known++
		return nil
	}
	if m.Publisher != nil {
		if err := m.Rate.Wait(ctx); err != nil {
			return err
		}
		duplicate, err := m.publish(ctx, e)
		switch {
		case errors.Is(err, queue.ErrTooLarge), errors.Is(err, event.ErrInvalid):
			out.refuse(n, err)
			return nil
		case err != nil:
			return err
		case duplicate: // it came over HTTP meanwhile
			out.Known++
			return nil
		}
	}
	seen[hash] = true
	out.Accepted++
	return nil
}

// publishTimeout is how long the stream may take to acknowledge one event.
const publishTimeout = 15 * time.Second

// publish sends the event to both tiers: each takes it when it can.
func (m *Importer) publish(ctx context.Context, e event.Event) (duplicate bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return m.Publisher.Completed(ctx, queue.Both, e, "")
}

func (r *Result) refuse(line int, err error) {
	r.Refused++
	if len(r.Refusals) < MaxRefusals {
		r.Refusals = append(r.Refusals, Refusal{line, err.Error()})
	}
}

// errTooLong is a line that is no body.
var errTooLong = fmt.Errorf("longer than %d bytes", MaxLine)

// readLine returns the next line without blanks around it. io.EOF after the last; errTooLong, and then the next.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > MaxLine {
			long, line = true, nil
		}
		if !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) == 0 && !long:
			return nil, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case long:
			return nil, errTooLong
		}
		return bytes.TrimSpace(line), nil
	}
}
