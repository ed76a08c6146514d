package webhook

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// firstBytes is how much of a body is made room for before anything of it has come. It grows as the body does, so that a
// sender who announces much and sends little holds little.
const firstBytes = 4 << 10

// errNoRoom is returned when all bodies together would hold more than they may.
var errNoRoom = errors.New("all bodies together hold as much as they may")

// body is a webhook's body, and its share of what all bodies may hold.
type body struct {
	bytes []byte
	gate  *gate
	held  int64
}

// free gives the share back.
func (b *body) free() { b.gate.drop(b.held) }

// read takes the body in, limit bytes at the most and one to show that it is longer.
func (b *body) read(r io.Reader, announced, limit int64) error {
	size := limit + 1
	if announced >= 0 {
		size = announced + 1
	}
	if err := b.grow(min(size, firstBytes)); err != nil {
		return err
	}
	for {
		n, err := r.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		switch {
		case errors.Is(err, io.EOF), int64(len(b.bytes)) > limit:
			return nil
		case err != nil:
			return err
		case len(b.bytes) == cap(b.bytes):
			if err := b.grow(min(2*int64(cap(b.bytes)), limit+1)); err != nil {
				return err
			}
		}
	}
}

// grow makes room for size bytes in all.
func (b *body) grow(size int64) error {
	if !b.gate.hold(size - b.held) {
		return errNoRoom
	}
	b.held = size
	b.bytes = append(make([]byte, 0, size), b.bytes...)
	return nil
}

// read returns the whole body, or how the webhook ends without it. The body is to be freed in either case.
func (h *Handler) read(w http.ResponseWriter, r *http.Request) (*body, *outcome) {
	b := &body{gate: h.gate}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(h.bodyTimeout)) // not supported only by test recorders
	limit := int64(h.MaxBody)
	if r.ContentLength > limit {
		return b, h.tooLarge(w, r)
	}
	err := b.read(r.Body, r.ContentLength, limit)
	switch {
	case err == nil && int64(len(b.bytes)) <= limit:
		_ = control.SetReadDeadline(time.Time{}) // else it would cancel the request while the stream is waited for
		return b, nil
	case err == nil:
		return b, h.tooLarge(w, r)
	case errors.Is(err, errNoRoom):
		return b, h.shed(w, err)
	}
	w.Header().Set("Connection", "close")
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return b, &outcome{code: RequestTimeout, detail: "the body did not come within " + h.bodyTimeout.String() + "; send it again"}
	}
	return b, &outcome{code: InvalidPayload, detail: "the body ended before its announced length", err: err}
}

// shed turns a webhook away whose body has not been read to its end. What is still to come of it is not waited for.
func (h *Handler) shed(w http.ResponseWriter, why error) *outcome {
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	return &outcome{code: Unavailable, detail: "too many webhooks at once; send it again", err: why}
}

// tooLarge reads some more of a body that is too long and throws it away, because most clients look for an answer only
// when they have sent all, and never find it when the connection is reset under them.
func (h *Handler) tooLarge(w http.ResponseWriter, r *http.Request) *outcome {
	w.Header().Set("Connection", "close")
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, maxDiscard)
	}
	return &outcome{code: TooLarge, detail: "the body is longer than " + h.MaxBody.String() + " (TWINREEL_MAX_BODY_BYTES)"}
}
