// Package api is the reconciler's record API: what is known of one recording, over HTTP, for who has the token.
package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/reconciler/internal/history"
	"github.com/twinreel/twinreel/reconciler/internal/objective"
	"github.com/twinreel/twinreel/reconciler/internal/reconcile"
)

// Path is where recordings are asked for: Path + ID, or Path + source/ID.
const Path = "/api/v1/recordings/"

// ObjectivePath is where the redundancy objective is asked for.
const ObjectivePath = "/api/v1/objective"

// RunPath is where it is asked how far the run is that is under way.
const RunPath = "/api/v1/run"

// Times of answering.
const (
	findTimeout  = 10 * time.Second
	auditTimeout = 3 * time.Second
)

// The codes of problems.
const (
	codeUnknown     = "unknown_recording"
	codeNoPath      = "not_found"
	codeMethod      = "method_not_allowed"
	codeID          = "invalid_id"
	codeToken       = "unauthorized"
	codeHost        = "forbidden_host"
	codeUnavailable = "unavailable"
)

// Auditor publishes an audit event and returns once it is acknowledged.
type Auditor interface {
	Audit(ctx context.Context, a event.Audit) error
}

// Handler answers the API. Its fields are set before and not changed.
type Handler struct {
	// Find returns what is known of a recording. history.ErrUnknown; any other error means that nobody can tell now.
	Find func(ctx context.Context, key string) (history.Recording, error)
	// Objective returns how well the redundancy objective is kept; ok is false where this instance does not measure it. nil:
	// never.
	Objective func() (r objective.Report, ok bool)
	// Progress tells how far this instance's run is; ok is false where none is under way. nil: it makes none.
	Progress func() (p reconcile.Progress, ok bool)
	Audit    Auditor
	Token    settings.Secret // bearer tokens, one a line; unset: whoever reaches the address, which is then a loopback one
	Now      func() time.Time
	Log      *zap.Logger
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who, p := h.who(r)
	switch {
	case p != nil:
	case r.URL.Path == RunPath:
		p = h.run(w, r)
	case r.URL.Path == ObjectivePath:
		p = h.objective(w, r)
	default:
		p = h.answer(w, r, who)
	}
	if p != nil {
		p.write(w)
	}
}

// answer writes the record of the recording that the path names. It is written only once the log has who read it.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, who string) *problem {
	name, ok := strings.CutPrefix(r.URL.Path, Path)
	switch {
	case !ok || name == "":
		return &problem{http.StatusNotFound, codeNoPath, "ask for " + Path + "<id> or " + Path + "<source>/<recording ID>"}
	case !read(r):
		return notRead(w)
	}
	source, id, err := event.SplitKey(name)
	if err != nil {
		return &problem{http.StatusBadRequest, codeID, err.Error()}
	}
	key := event.IdempotencyKey(source, id)
	ctx, cancel := context.WithTimeout(r.Context(), findTimeout)
	defer cancel()
	found, err := h.Find(ctx, key)
	switch {
	case errors.Is(err, history.ErrUnknown):
		return &problem{http.StatusNotFound, codeUnknown, "nobody knows a recording of this ID"}
	case err != nil:
		h.Log.Warn("a recording could not be looked for", zap.String("recording_id", key), zap.String("error", fault.Text(err)))
		return &problem{http.StatusServiceUnavailable, codeUnavailable, "not all could be asked that may know the recording; ask again"}
	}
	if err := h.audit(r.Context(), key, who); err != nil {
		h.Log.Error("a read could not be audited, so it was refused", zap.String("recording_id", key), zap.String("error", fault.Text(err)))
		return &problem{http.StatusServiceUnavailable, codeUnavailable, "the audit log does not take this read; ask again"}
	}
	writeJSON(w, found) // with its timeline
	return nil
}

// read reports whether a request only reads.
func read(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

func notRead(w http.ResponseWriter) *problem {
	w.Header().Set("Allow", "GET, HEAD")
	return &problem{http.StatusMethodNotAllowed, codeMethod, "use GET"}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

// run writes how far the run is that is under way; "running" is false where this instance makes none now.
func (h *Handler) run(w http.ResponseWriter, r *http.Request) *problem {
	if !read(r) {
		return notRead(w)
	}
	out := struct {
		Running  bool                `json:"running"`
		Progress *reconcile.Progress `json:"progress"`
	}{}
	if h.Progress != nil {
		if p, ok := h.Progress(); ok {
			out.Running, out.Progress = true, &p
		}
	}
	writeJSON(w, out)
	return nil
}

// objective writes how well the redundancy objective is kept. It holds recordings' IDs and nothing else of them, so that
// reading it is no read of a recording.
func (h *Handler) objective(w http.ResponseWriter, r *http.Request) *problem {
	if !read(r) {
		return notRead(w)
	}
	if h.Objective != nil {
		if report, ok := h.Objective(); ok {
			writeJSON(w, report)
			return nil
		}
	}
	return &problem{http.StatusServiceUnavailable, codeUnavailable, "this instance does not lead, and the leader alone measures it; ask another, or run reconciler objective"}
}

func (h *Handler) audit(ctx context.Context, key, who string) error {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	return h.Audit.Audit(ctx, event.Audit{
		Kind: event.AuditRead, Tier: event.AuditAll, Time: h.Now(), Data: event.AuditData{IdempotencyKey: key, By: who},
	})
}

// who names the reader for the audit log: the token by a fingerprint, and the address. A token is compared with every
// active one, in the same time whatever it is.
func (h *Handler) who(r *http.Request) (string, *problem) {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		from = "unknown"
	}
	if !h.Token.IsSet() {
		if !local(r.Host) { // a page in somebody's browser, that calls itself by a name which leads here
			return "", &problem{http.StatusForbidden, codeHost, "without a token the API answers to a loopback address or localhost only"}
		}
		return "local@" + from, nil
	}
	given, ok := bearer(r.Header)
	sum := sha256.Sum256([]byte(given))
	match := 0
	for _, token := range h.Token.Lines() {
		want := sha256.Sum256([]byte(token))
		match |= subtle.ConstantTimeCompare(sum[:], want[:])
	}
	if !ok || match != 1 {
		return "", &problem{http.StatusUnauthorized, codeToken, "send Authorization: Bearer and the token of TWINREEL_API_TOKEN"}
	}
	return "token-" + hex.EncodeToString(sum[:4]) + "@" + from, nil
}

// bearer returns the token of the one Authorization header.
func bearer(h http.Header) (string, bool) {
	v := h.Values("Authorization")
	if len(v) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(v[0], " ")
	token = strings.TrimSpace(token)
	return token, found && strings.EqualFold(scheme, "bearer") && token != ""
}

// local reports whether a request's host is this machine by an address, or localhost.
func local(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// problem is an answer as in RFC 9457.
type problem struct {
	status       int
	code, detail string
}

func (p *problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	switch p.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "2")
	}
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(p.status), p.status, p.code, p.detail})
}
