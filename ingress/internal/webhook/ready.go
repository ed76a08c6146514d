package webhook

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// ReadyPath is where load balancers and DNS health checks ask, on the address of webhooks, whether webhooks should be sent
// here. Why not is told on TWINREEL_ADMIN_ADDR only, which strangers do not reach.
const ReadyPath = "/readyz"

// readyTimeout is how long such a question may take: Route 53, the least patient, waits 2 s for an answer.
const readyTimeout = 1500 * time.Millisecond

// asksReady reports whether a request is a health check.
func asksReady(r *http.Request) bool {
	return r.URL.Path == ReadyPath && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// serveReady answers a health check: 200 or 503, and not a word more. It is neither logged nor counted as a webhook.
func (h *Handler) serveReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), h.readyTimeout)
	defer cancel()
	ready := h.Serving(ctx)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(struct {
		Ready bool `json:"ready"`
	}{ready}) // the client may be gone
}
