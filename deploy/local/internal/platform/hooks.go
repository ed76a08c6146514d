package platform

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// hooksPath is where webhooks are created and listed.
const hooksPath = "/api/v2/integrations/webhooks"

// What the API grants.
const (
	apiRate  = 10 // requests in any second, all clients together
	pageSize = 25
)

// Registered is a webhook as a client of the API created it.
type Registered struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	URL         string            `json:"url"`
	Event       string            `json:"event"`
	Enabled     bool              `json:"enabled"`
	ContentType string            `json:"contentType"`
	RetryCount  int               `json:"retryCount"`
	RetryDelay  int               `json:"retryDelay"` // milliseconds
	Headers     map[string]string `json:"headers"`
}

// hooks are the webhooks that were created by the API, and when it was asked of late.
type hooks struct {
	list   []Registered
	asked  []time.Time // in the last second
	most   int         // requests that came in any second
	bodies []string    // of the creating requests, as they came
}

// Webhooks returns what was created by the API, in order. From then on the webhooks of source "default" go to the first
// enabled one of RECORDING_COMPLETED, with its headers.
func (p *Platform) Webhooks() []Registered {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.hooks.list)
}

// WebhookBodies returns the bodies of the requests by which they were created, as they came.
func (p *Platform) WebhookBodies() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.hooks.bodies)
}

// MostAsked returns how many requests for webhooks came in the busiest second.
func (p *Platform) MostAsked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hooks.most
}

// serveHooks answers as the guide says of the platform's API: 401 without the token, 429 beyond ten requests a second.
func (p *Platform) serveHooks(w http.ResponseWriter, r *http.Request) {
	switch {
	case !p.granted():
		w.Header().Set("Retry-After", "1")
		http.Error(w, "rate limit exceeded", http.StatusTooManyRequests)
	case p.cfg.APIToken == "" || r.Header.Get("Authorization") != "Bearer "+p.cfg.APIToken:
		http.Error(w, "no such token", http.StatusUnauthorized)
	case r.Method == http.MethodPost:
		p.createHook(w, r)
	default:
		p.listHooks(w, r)
	}
}

// granted counts a request and reports whether it may be answered.
func (p *Platform) granted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.cfg.Now()
	p.hooks.asked = slices.DeleteFunc(p.hooks.asked, func(at time.Time) bool { return now.Sub(at) >= time.Second })
	p.hooks.asked = append(p.hooks.asked, now)
	p.hooks.most = max(p.hooks.most, len(p.hooks.asked))
	return len(p.hooks.asked) <= apiRate
}

// createHook takes a webhook, and twice the same one as two.
func (p *Platform) createHook(w http.ResponseWriter, r *http.Request) {
	var raw json.RawMessage
	var h Registered
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&raw) != nil || json.Unmarshal(raw, &h) != nil {
		http.Error(w, "not a webhook", http.StatusBadRequest)
		return
	}
	if u, err := url.Parse(h.URL); err != nil || u.Host == "" || h.Name == "" || h.Event == "" {
		http.Error(w, "want name, url and event", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	h.ID = fmt.Sprintf("hook-%d", len(p.hooks.list)+1)
	p.hooks.list = append(p.hooks.list, h)
	p.hooks.bodies = append(p.hooks.bodies, string(raw))
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(h) // the client may have left
}

// listHooks answers with a page of the list, and where it goes on.
func (p *Platform) listHooks(w http.ResponseWriter, r *http.Request) {
	all := p.Webhooks()
	page, _ := strconv.Atoi(r.URL.Query().Get("pageNumber"))
	from := min(max(page-1, 0)*pageSize, len(all))
	to := min(from+pageSize, len(all))
	answer := map[string]any{"entities": append([]Registered{}, all[from:to]...)}
	if to < len(all) {
		answer["nextUri"] = fmt.Sprintf("%s?pageNumber=%d", hooksPath, max(page, 1)+1)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the client may have left
}

// target is where the webhooks of a source go, and what goes along.
func (p *Platform) target(source string) (address string, headers map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if source == defaultSource {
		for _, h := range p.hooks.list {
			if h.Enabled && h.Event == "RECORDING_COMPLETED" {
				return h.URL, h.Headers
			}
		}
		source = "recording-complete"
	}
	if p.ingress == "" {
		return "", nil
	}
	return p.ingress + "/api/v1/webhooks/" + source, nil
}
