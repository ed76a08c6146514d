package scrub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

// month is the period of the tests.
const month = 720 * time.Hour

// bed is a scrubber over two stores in memory, in a bubble's time.
type bed struct {
	*Scrubber
	t      *testing.T
	stores map[tier.Tier]*memstore.Store
	paper  *paper
	reg    *prometheus.Registry
	logs   *observer.ObservedLogs
}

func newBed(t *testing.T) *bed {
	b := &bed{t: t, stores: map[tier.Tier]*memstore.Store{}, paper: &paper{noted: map[string]quarantine.Difference{}}}
	for _, one := range tier.All() {
		b.stores[one] = memstore.New("bucket-" + one.String())
	}
	b.anew()
	return b
}

// anew is another process's scrubber over the same stores and the same NATS.
func (b *bed) anew() {
	core, logs := observer.New(zapcore.InfoLevel)
	b.reg, b.logs = prometheus.NewRegistry(), logs
	b.Scrubber = &Scrubber{
		Stores: map[tier.Tier]objstore.Reader{tier.Primary: b.stores[tier.Primary], tier.Backup: b.stores[tier.Backup]},
		Period: month, Budget: 10 << 30, Note: b.paper, Audit: b.paper, Last: b.paper.last, Waits: Waits(), Metrics: NewMetrics(b.reg), Log: zap.New(core),
	}
}

// run runs the scrubber until stop is called.
func (b *bed) run() (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); b.Run(ctx) }()
	return func() { cancel(); <-ended }
}

// runFor runs it for so long.
func (b *bed) runFor(d time.Duration) {
	stop := b.run()
	time.Sleep(d)
	stop()
}

// media are size bytes, other ones for each seed.
func media(seed byte, size int) []byte {
	return bytes.Repeat([]byte{seed, 'R', 'I', 'F', 'F', seed, 7}, size/7+1)[:size]
}

// sidecarOf is the sidecar of a recording of these bytes.
func sidecarOf(t *testing.T, id string, body []byte) (key string, sidecar []byte) {
	t.Helper()
	d := event.Data{RecordingID: id, Source: event.DefaultSource, Media: event.Media{URL: "https://cdn.example.com/a?signature=s3cret", Format: "wav"}}
	e, err := event.NewEntry(event.New(d, "e-1", time.Unix(1000, 0)), digest.Of(body))
	if err != nil {
		t.Fatal(err)
	}
	return e.ObjectKey, e.Sidecar
}

// store puts a recording into tiers as the workers do; without tiers, into both.
func (b *bed) store(id string, body []byte, in ...tier.Tier) (key string) {
	b.t.Helper()
	key, sidecar := sidecarOf(b.t, id, body)
	if len(in) == 0 {
		all := tier.All()
		in = all[:]
	}
	for _, one := range in {
		b.stores[one].Plant(key, memstore.Object{Body: body, ContentType: "audio/wav"})
		b.stores[one].Plant(event.SidecarKey(id), memstore.Object{Body: sidecar, ContentType: "application/json"})
	}
	return key
}

// reads counts the times that each key of a tier is opened.
func (b *bed) reads(of tier.Tier) func(key string) int {
	var mu sync.Mutex
	n := map[string]int{}
	b.stores[of].Before(memstore.Open, func(_ context.Context, c memstore.Call) error {
		mu.Lock()
		defer mu.Unlock()
		n[c.Key]++
		return nil
	})
	return func(key string) int {
		mu.Lock()
		defer mu.Unlock()
		return n[key]
	}
}

// verdicts returns how many objects of a tier came to a verdict.
func (b *bed) judged(t tier.Tier, v Verdict) int {
	return int(testutil.ToFloat64(b.Metrics.objects.WithLabelValues(t.String(), string(v))))
}

func (b *bed) wantJudged(t tier.Tier, want map[Verdict]int) {
	b.t.Helper()
	for _, v := range verdicts() {
		if got := b.judged(t, v); got != want[v] {
			b.t.Errorf("%s: %d %s, want %d", t, got, v, want[v])
		}
	}
}

// logged returns how often a message of a level was logged that has the text.
func (b *bed) logged(level zapcore.Level, text string) int {
	return b.logs.FilterLevelExact(level).Filter(func(e observer.LoggedEntry) bool { return strings.Contains(e.Message, text) }).Len()
}

// paper is AUDIT and the quarantine.
type paper struct {
	mu       sync.Mutex
	events   []event.Audit
	noted    map[string]quarantine.Difference
	auditing error // why audit events are refused
	noting   error
	notes    int
}

func (p *paper) Audit(_ context.Context, a event.Audit) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.auditing != nil {
		return p.auditing
	}
	if a.MsgID != "" && slices.ContainsFunc(p.events, func(o event.Audit) bool { return o.MsgID == a.MsgID }) {
		return nil
	}
	p.events = append(p.events, a)
	return nil
}

func (p *paper) Note(_ context.Context, about quarantine.About, diffs ...quarantine.Difference) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.noting != nil {
		return false, p.noting
	}
	for _, d := range diffs {
		p.noted[about.IdempotencyKey+" "+d.Tier] = d
		p.notes++
	}
	return true, nil
}

// refuse says why nothing is taken from now on; nil: it is again.
func (p *paper) refuse(audit, note error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.auditing, p.noting = audit, note
}

func (p *paper) last(_ context.Context, t tier.Tier) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range slices.Backward(p.events) {
		if a.Kind == event.AuditRun && a.Tier == t.String() {
			return a.Encode()
		}
	}
	return nil, nil
}

// kept returns the audit events of a kind and tier.
func (p *paper) kept(kind event.AuditKind, t tier.Tier) (out []event.Audit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.events {
		if a.Kind == kind && a.Tier == t.String() {
			out = append(out, a)
		}
	}
	return out
}

// count returns how often something was noted.
func (p *paper) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.notes
}

// note returns what is in quarantine of a recording and tier.
func (p *paper) note(id string, t tier.Tier) (quarantine.Difference, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, ok := p.noted[id+" "+t.String()]
	return d, ok
}

func storeFault(c fault.Class, status int) *fault.Error {
	f := fault.New(c, fault.Store, "open", errors.New("refused"))
	f.Status = status
	return f
}

func away() error { return storeFault(fault.Unavailable, http.StatusInternalServerError) }

// rec is the i-th recording's ID.
func rec(i int) string { return fmt.Sprintf("rec-%03d", i) }
