// Package webhook is the way from an HTTP request to an acknowledged event: source, limits, signature, payload, publish.
//
// It answers 200 only after the stream's acknowledgement, and waits for nothing else. The signature is checked over the
// raw bytes, before anything is parsed.
package webhook

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/ingress/internal/config"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/profile"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Path is where webhooks are sent to: Path + source. defaultAlias is another name of the default source there.
const (
	Path         = "/api/v1/webhooks/"
	defaultAlias = "recording-complete"
)

// bodyTimeout is how long a body may take to come, after its header.
const bodyTimeout = 10 * time.Second

// maxDiscard is how much of a body that is too long is read and thrown away before the answer.
const maxDiscard = 8 << 20

// Publisher publishes an accepted recording's event and returns nil only when the stream has acknowledged it;
// queue.ErrTooLarge when the server would never take it. *queue.Publisher is one.
type Publisher interface {
	Completed(ctx context.Context, r queue.Route, e event.Event, traceparent string) (duplicate bool, err error)
}

// Router says which tiers take a new recording of that size (bytes; nil: not given) live. It answers from memory, at once.
// *route.Router is one.
type Router interface {
	Route(size *int64) queue.Route
}

// Options are what a Handler is made of.
type Options struct {
	Sources      map[string]config.Source
	Publisher    Publisher
	Router       Router
	Ready        func(context.Context) bool // whether the stream is as it should be
	Serving      func(context.Context) bool // the same, and false from the first moment of a stop: for health checks
	MaxBody      settings.Bytes
	AckTimeout   time.Duration
	Participants profile.Participants
	Now          func() time.Time
	Log          *zap.Logger
	Registry     prometheus.Registerer
}

// Handler answers webhooks. It is safe for concurrent use.
type Handler struct {
	Options
	metrics      *metrics
	bodyTimeout  time.Duration
	readyTimeout time.Duration
	gate         *gate
}

// New returns a Handler.
func New(o Options) *Handler {
	return &Handler{
		Options: o, metrics: newMetrics(o.Registry, o.Sources), bodyTimeout: bodyTimeout, readyTimeout: readyTimeout,
		gate: &gate{maxWaiting: maxWaiting, maxHeld: max(maxHeld, 4*int64(o.MaxBody))},
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if asksReady(r) {
		h.serveReady(w, r)
		return
	}
	started := h.Now()
	source, known := h.source(r)
	out := outcome{code: UnknownSource, detail: "send webhooks to " + Path + "<source>, with a source that is set up"}
	label := noSource
	if known {
		label = source.Name
		out = h.take(w, r, source)
	}
	out.write(w)
	took := h.Now().Sub(started)
	h.metrics.answered(label, out.code, took)
	h.log(label, out, took)
}

// source finds the source that the request's path names.
func (h *Handler) source(r *http.Request) (config.Source, bool) {
	name, ok := strings.CutPrefix(r.URL.Path, Path)
	if !ok {
		return config.Source{}, false
	}
	if name == defaultAlias {
		name = event.DefaultSource
	}
	s, ok := h.Sources[name]
	return s, ok
}

// take goes through the checks in the contract's order: 405, 413, 415, 401, 400; then it publishes.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, source config.Source) outcome {
	if r.Method != http.MethodPost {
		return outcome{code: MethodNotAllowed, detail: "use POST"}
	}
	b, failed := h.read(w, r)
	defer b.free()
	if failed != nil {
		return *failed
	}
	body := b.bytes
	if !isJSON(r.Header) {
		return outcome{code: UnsupportedMediaType, detail: "send Content-Type: application/json, without Content-Encoding"}
	}
	if err := verify(source, r.Header, body, h.Now()); err != nil {
		return outcome{code: InvalidSignature, detail: err.Error()}
	}
	h.metrics.signed(source.Name, h.Now())
	proven(r.Context())
	p, err := profile.Parse(source.Name, body)
	switch {
	case err != nil:
		return outcome{code: InvalidPayload, detail: err.Error()}
	case !p.Completed && p.RecordingID == "":
		return outcome{code: Ignored}
	case !p.Completed:
		return outcome{code: Ignored, recordingID: p.RecordingID, key: event.IdempotencyKey(source.Name, p.RecordingID)}
	}
	return h.publish(r, p)
}

// isJSON reports whether the request says, once, that its content is JSON as it is.
func isJSON(h http.Header) bool {
	v := h.Values("Content-Type")
	if len(v) != 1 || len(h.Values("Content-Encoding")) > 0 {
		return false
	}
	t, _, err := mime.ParseMediaType(v[0])
	return err == nil && (t == "application/json" || strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json"))
}

// publish gives the event to the stream and waits for its acknowledgement, also when the sender has gone: then its next
// try is a duplicate.
func (h *Handler) publish(r *http.Request, p profile.Webhook) outcome {
	p.Data.Participants = h.Participants.Keep(p.Data.Participants)
	e := event.New(p.Data, p.EventID, h.Now())
	out := outcome{recordingID: p.RecordingID, key: e.Data.IdempotencyKey}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), h.AckTimeout)
	defer cancel()
	if !h.Ready(ctx) {
		out.code, out.detail = Unavailable, "the stream is not ready; send the webhook again"
		return out
	}
	if !h.gate.enter() {
		out.code, out.detail = Unavailable, "too many webhooks wait for the stream; send the webhook again"
		return out
	}
	defer h.gate.leave()
	out.route = h.Router.Route(e.Data.Media.Size)
	duplicate, err := h.Publisher.Completed(ctx, out.route, e, traceparent(r.Header))
	switch {
	case errors.Is(err, queue.ErrTooLarge):
		out.code, out.err, out.detail = TooLarge, err, "the event made of the webhook is longer than the stream takes"
	case err != nil:
		out.code, out.err, out.detail = Unavailable, err, "the stream did not confirm the webhook; send it again"
	case duplicate:
		out.code = Duplicate
	default:
		out.code = Accepted
	}
	return out
}

// log writes the one line that each webhook gets.
func (h *Handler) log(source string, o outcome, took time.Duration) {
	fields := []zap.Field{zap.String("source", source), zap.String("code", string(o.code)), zap.Duration("took", took)}
	if o.key != "" {
		fields = append(fields, zap.String("recording_id", o.key))
	}
	if o.route != "" {
		fields = append(fields, zap.String("route", string(o.route)))
	}
	if o.detail != "" {
		fields = append(fields, zap.String("detail", fault.Clean(o.detail)))
	}
	if o.err != nil {
		fields = append(fields, zap.String("error", fault.Text(o.err)))
	}
	switch status, _ := o.code.status(); {
	case status == http.StatusOK:
		h.Log.Info("webhook", fields...)
	case status < http.StatusInternalServerError:
		h.Log.Warn("webhook refused", fields...)
	default:
		h.Log.Error("webhook not stored", fields...)
	}
}
