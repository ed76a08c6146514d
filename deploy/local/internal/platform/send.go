package platform

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Answer is what ingress said to a webhook.
type Answer struct {
	Status         int
	Code           string        // the contract's code: "accepted", "invalid_signature" …
	RecordingID    string        // of a 200
	IdempotencyKey string        // of a 200
	RetryAfter     time.Duration // of a 503
	Attempts       int           // how many it took
	Latency        time.Duration // of the last attempt, until the answer's end
}

// Taken reports whether the answer was 200.
func (a Answer) Taken() bool { return a.Status == http.StatusOK }

// ErrRefused says that a webhook's last answer was not 200.
var ErrRefused = errors.New("the webhook was not taken")

// Send posts the recording's webhook, with edits as for Webhook, and tries again as a platform does: Config.Retries times,
// Config.RetryDelay apart, whenever no answer came or one of 408, 429, 5xx. The error wraps ErrRefused if the last answer
// was not 200, else it says why none came.
func (p *Platform) Send(ctx context.Context, rec *Recording, edits ...func(*Event)) (Answer, error) {
	a, err := p.deliver(ctx, func() Hook { return p.Webhook(rec, edits...) }, nil)
	if err == nil && !a.Taken() {
		err = fmt.Errorf("send the webhook of recording %s: %w: status %d, code %q", rec.Key(), ErrRefused, a.Status, a.Code)
	}
	return a, err
}

// deliver posts what hook makes, anew for each attempt, since a signature may go stale. each sees every answer.
func (p *Platform) deliver(ctx context.Context, hook func() Hook, each func(Answer)) (Answer, error) {
	for attempt := 1; ; attempt++ {
		a, err := p.Post(ctx, hook())
		a.Attempts = attempt
		if err == nil && each != nil {
			each(a)
		}
		if (err == nil && !retryable(a.Status)) || attempt > p.cfg.Retries {
			return a, err
		}
		if waitErr := p.wait(ctx, p.cfg.RetryDelay); waitErr != nil {
			return a, fmt.Errorf("wait to send the webhook again: %w", waitErr)
		}
	}
}

func retryable(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500
}

// wait waits for d, unless ctx ends or the platform closes.
func (p *Platform) wait(ctx context.Context, d time.Duration) error {
	ctx, end := p.untilClosed(ctx)
	defer end()
	return sleep(ctx, d)
}

// untilClosed returns a context that also ends when the platform closes. The function lets go of it.
func (p *Platform) untilClosed(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(p.closing, func() { cancel(errClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

var errClosed = errors.New("the platform is closed")

// Post posts the hook once, as it is. An answer of any status is no error; an error means that none came.
func (p *Platform) Post(ctx context.Context, h Hook) (Answer, error) {
	ctx, end := p.untilClosed(ctx)
	defer end()
	req, err := p.request(ctx, h)
	if err != nil {
		return Answer{}, err
	}
	start := time.Now()
	resp, err := p.client.Do(req)
	if err != nil {
		if op := (*net.OpError)(nil); !errors.As(err, &op) || op.Op != "dial" {
			h.rec.noteNoAnswer() // it may have arrived
		}
		return Answer{}, fmt.Errorf("post a webhook of source %q: %w", h.Source, err)
	}
	a, err := readAnswer(resp)
	a.Latency = time.Since(start)
	switch {
	case err != nil || a.Status >= 500:
		h.rec.noteNoAnswer()
	case a.Code == "accepted" || a.Code == "duplicate":
		h.rec.noteTaken(h, p.cfg.Now())
	}
	return a, err
}

func (p *Platform) request(ctx context.Context, h Hook) (*http.Request, error) {
	where, headers := p.target(h.Source)
	if where == "" {
		return nil, errors.New("post a webhook: where to is not known; call SetIngressURL, or register one")
	}
	if p.closing.Err() != nil {
		return nil, fmt.Errorf("post a webhook: %w", errClosed)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, bytes.NewReader(h.Body))
	if err != nil {
		return nil, fmt.Errorf("post a webhook of source %q: %w", h.Source, err)
	}
	req.Header = h.Header.Clone()
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	return req, nil
}

// readAnswer reads a success body or a problem document; a body that is neither gives an empty code.
func readAnswer(resp *http.Response) (Answer, error) {
	defer resp.Body.Close()
	a := Answer{Status: resp.StatusCode}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		a.RetryAfter = time.Duration(s) * time.Second
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return a, fmt.Errorf("read the answer to a webhook: %w", err)
	}
	var said struct{ Code, RecordingID, IdempotencyKey string }
	if json.Unmarshal(b, &said) == nil {
		a.Code, a.RecordingID, a.IdempotencyKey = said.Code, said.RecordingID, said.IdempotencyKey
	}
	return a, nil
}

// noteTaken remembers that an event of the recording was answered 200. A Hook that is not a recording's is nobody's.
func (r *Recording) noteTaken(h Hook, now time.Time) {
	if r == nil {
		return
	}
	sum := sha256.Sum256(h.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.firstAck.IsZero() {
		r.firstAck = now
	}
	if !r.taken[sum] {
		if r.taken == nil {
			r.taken = map[[sha256.Size]byte]bool{}
		}
		r.taken[sum] = true
		r.acknowledged = append(r.acknowledged, h.Event)
	}
}

// noteNoAnswer remembers that a webhook of the recording may have been taken, though no 200 says so.
func (r *Recording) noteNoAnswer() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unanswered = true
}
