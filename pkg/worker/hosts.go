package worker

import (
	"context"
	"net/url"
	"sync"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
)

// hosts remembers when each source host last served a whole recording to this process: a host that serves others and
// fails one says something about that one; a host that fails all says nothing.
type hosts struct {
	mu     sync.Mutex
	served map[string]time.Time
}

// maxHosts bounds the memory; a platform has a handful of media hosts.
const maxHosts = 4096

func newHosts() *hosts { return &hosts{served: map[string]time.Time{}} }

// serve notes that host served a recording at that time.
func (h *hosts) serve(host string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.served) >= maxHosts {
		clear(h.served)
	}
	h.served[host] = at
}

// servedSince reports whether host served a recording after that time; false where the time is unknown.
func (h *hosts) servedSince(host string, since time.Time) bool {
	if since.IsZero() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.served[host].After(since)
}

// asked is the link that was last asked for in a delivery: the event's, or a fresh one, which may be of another host.
type asked struct{ link string }

type askedKey struct{}

// withAsked returns a context in which the source notes what it is asked for, at first the event's link.
func withAsked(ctx context.Context, e event.Event) context.Context {
	return context.WithValue(ctx, askedKey{}, &asked{e.Data.Media.URL})
}

// askedIn returns the delivery's note; one of its own where there is none.
func askedIn(ctx context.Context) *asked {
	if a, ok := ctx.Value(askedKey{}).(*asked); ok {
		return a
	}
	return &asked{}
}

// host is the host of the link.
func (a *asked) host() string { return hostIn(a.link) }

// hostIn is the host of a link.
func hostIn(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	return u.Host
}
