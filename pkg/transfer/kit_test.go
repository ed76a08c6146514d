package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/ledger/memledger"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/transfer"
)

// part is the size of a part in these tests.
const part = 64 << 10

// world is both tiers over one agreement and one ledger, and a source.
type world struct {
	t         *testing.T
	source    *source
	agreement *digest.Memory
	ledger    *memledger.Ledger
	audit     *auditLog
	stores    map[tier.Tier]*memstore.Store
	copiers   map[tier.Tier]*transfer.Copier
	buffers   *transfer.Buffers
	sequence  uint64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, source: &source{media: map[string][]byte{}}, agreement: &digest.Memory{}, ledger: memledger.New(time.Now), audit: &auditLog{},
		stores: map[tier.Tier]*memstore.Store{}, copiers: map[tier.Tier]*transfer.Copier{}, buffers: transfer.NewBuffers(4*part, part),
	}
	for _, tr := range tier.All() {
		w.stores[tr] = memstore.New("bucket-" + tr.String())
		w.copiers[tr] = &transfer.Copier{
			Tier: tr, Source: w.source, Store: w.stores[tr], Ledger: w.ledger, Agreement: w.agreement, Audit: w.audit,
			Buffers: w.buffers, Read: func(int) {}, Now: time.Now, Log: zap.NewNop(),
		}
	}
	t.Cleanup(func() {
		if n := w.buffers.Used(); n != 0 {
			t.Errorf("%d bytes of buffers were not given back", n)
		}
	})
	return w
}

// job returns a new message's job for media of that body.
func (w *world) job(id string, body []byte, change ...func(*event.Data)) transfer.Job {
	w.sequence++
	d := event.Data{
		RecordingID: id, Source: event.DefaultSource, Media: event.Media{URL: "https://cdn.example.com/" + id, Format: "wav"},
		Participants: []event.Participant{{"id": "p1"}}, Tags: map[string]string{"queue": "billing"},
	}
	for _, f := range change {
		f(&d)
	}
	w.source.put(d.Media.URL, body)
	return transfer.Job{Event: event.New(d, "ev", time.Now()), Message: ledger.Message{Stream: "RECORDINGS", Sequence: w.sequence}}
}

func (w *world) copy(tr tier.Tier, job transfer.Job) (transfer.Result, error) {
	w.t.Helper()
	return w.copiers[tr].Copy(w.t.Context(), job)
}

// must copies and expects an outcome.
func (w *world) must(tr tier.Tier, job transfer.Job, want transfer.Outcome) {
	w.t.Helper()
	res, err := w.copy(tr, job)
	if err != nil || res.Outcome != want {
		w.t.Fatalf("%s: %q %v, want %q", tr, res.Outcome, err, want)
	}
}

// refused copies and expects a fault of that class.
func (w *world) refused(tr tier.Tier, job transfer.Job, want fault.Class) {
	w.t.Helper()
	res, err := w.copy(tr, job)
	if err == nil || fault.ClassOf(err) != want {
		w.t.Fatalf("%s: %q, fault %v (%v), want %v", tr, res.Outcome, fault.ClassOf(err), err, want)
	}
}

// holds checks that tier tr has body under the job's key, and a sidecar.
func (w *world) holds(tr tier.Tier, job transfer.Job, body []byte) {
	w.t.Helper()
	o, ok := w.stores[tr].Object(job.Event.Data.ObjectKey)
	if !ok || !bytes.Equal(o.Body, body) {
		w.t.Fatalf("%s holds %d bytes (%v), want %d", tr, len(o.Body), ok, len(body))
	}
	if w.sidecar(tr, job) == "" {
		w.t.Fatalf("%s has no sidecar", tr)
	}
	if n := w.stores[tr].OpenUploads(); n != 0 {
		w.t.Errorf("%s has %d open uploads", tr, n)
	}
}

func (w *world) sidecar(tr tier.Tier, job transfer.Job) string {
	o, _ := w.stores[tr].Object(event.SidecarKey(job.Event.Data.IdempotencyKey))
	return string(o.Body)
}

func (w *world) empty(tr tier.Tier) {
	w.t.Helper()
	if n := w.stores[tr].Keys(); n != 0 {
		w.t.Errorf("%s holds %d objects", tr, n)
	}
	if n := w.stores[tr].OpenUploads(); n != 0 {
		w.t.Errorf("%s has %d open uploads", tr, n)
	}
}

// again is the job's next delivery.
func again(j transfer.Job) transfer.Job {
	j.Again = true
	return j
}

// media returns n bytes that begin like a WAV.
func media(n int) []byte {
	b := []byte("RIFF\x00\x00\x00\x00WAVE" + strings.Repeat("twinreel", n/8+1))
	return b[:n]
}

// source serves media from memory.
type source struct {
	mu     sync.Mutex
	media  map[string][]byte
	opened int
	fail   error
	hook   func() // called when the media have been read
	ranged bool   // beyond the first part, by ranges
	filled func(off int64) error
	cut    int // how many bytes are missing at the end; negative: how many come on top
}

func (s *source) put(url string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.media[url] = body
}

func (s *source) Open(_ context.Context, r mediasource.Request) (*mediasource.Media, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	if s.fail != nil {
		return nil, s.fail
	}
	body := s.media[r.URL]
	size := int64(len(body))
	if r.SizeOptional {
		size = -1
	}
	var come []byte
	if s.cut > 0 {
		come = body[:len(body)-s.cut]
	} else {
		come = append(bytes.Clone(body), make([]byte, -s.cut)...)
	}
	in := &reader{Reader: bytes.NewReader(come), done: s.hook}
	if !s.ranged || size <= part {
		return mediasource.NewMedia(in, size, 1<<40), nil
	}
	return mediasource.NewRangedMedia(in, size, 1<<40, part, func(ctx context.Context, off int64, p []byte) error {
		if s.filled != nil {
			if err := s.filled(off); err != nil {
				return err
			}
		}
		copy(p, body[off:])
		return ctx.Err()
	}), nil
}

type reader struct {
	io.Reader
	done func()
}

func (r *reader) Close() error {
	if r.done != nil {
		r.done()
	}
	return nil
}

// auditLog keeps audit events, each message ID once, as the stream does.
type auditLog struct {
	mu     sync.Mutex
	events []event.Audit
	fail   error
}

func (a *auditLog) Audit(_ context.Context, e event.Audit) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil {
		return fault.New(fault.Unavailable, fault.Audit, "publish", a.fail)
	}
	for _, old := range a.events {
		if old.MsgID == e.MsgID {
			return nil
		}
	}
	a.events = append(a.events, e)
	return nil
}

func (a *auditLog) count(kind event.AuditKind, tr tier.Tier) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, e := range a.events {
		if e.Kind == kind && e.Tier == tr.String() {
			n++
		}
	}
	return n
}

// errBroken is the failure that tests put in.
var errBroken = errors.New("broken on purpose")
