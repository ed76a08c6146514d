package chaos

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
)

// balancer spreads webhooks over instances of ingress, as what stands before them in production does: over those whose
// /readyz said so when it was last asked, and it does not send a request again.
type balancer struct {
	server *http.Server
	proxy  *httputil.ReverseProxy
	url    string
	stop   context.CancelFunc
	asking sync.WaitGroup
	// inOrder has the first that is ready get all, as a name does that leads to another region while the first is not well.
	inOrder bool // set before the first request

	mu    sync.Mutex
	all   []*fleet.Program
	ready []string // host:port
	next  int
}

// askEvery is how often the balancer asks whether an instance is ready.
const askEvery = 100 * time.Millisecond

func newBalancer(all ...*fleet.Program) (*balancer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	lb := &balancer{url: "http://" + l.Addr().String(), stop: stop, all: all}
	lb.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", lb.choose()
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Second},
		ErrorLog:  log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	lb.server = &http.Server{Handler: lb.proxy, ReadHeaderTimeout: time.Minute}
	lb.asking.Go(func() { lb.ask(ctx) })
	go func() { _ = lb.server.Serve(l) }()
	return lb, nil
}

// choose returns the next ready instance's address; one that nobody listens on where none is.
func (lb *balancer) choose() string {
	lb.mu.Lock()
	defer lb.mu.Unlock()
	if len(lb.ready) == 0 {
		return "127.0.0.1:1"
	}
	if lb.inOrder {
		return lb.ready[0]
	}
	lb.next++
	return lb.ready[lb.next%len(lb.ready)]
}

// ask keeps up with who is ready, until ctx ends.
func (lb *balancer) ask(ctx context.Context) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		var ready []string
		for _, p := range lb.instances() {
			if ok, _, err := p.Readyz(ctx); err == nil && ok {
				ready = append(ready, p.Listen)
			}
		}
		lb.mu.Lock()
		lb.ready = ready
		lb.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (lb *balancer) instances() []*fleet.Program {
	lb.mu.Lock()
	defer lb.mu.Unlock()
	return append([]*fleet.Program(nil), lb.all...)
}

// replace puts one instance in the place of another, if that is an ingress.
func (lb *balancer) replace(old, now *fleet.Program) {
	lb.mu.Lock()
	defer lb.mu.Unlock()
	if i := slices.Index(lb.all, old); i >= 0 {
		lb.all[i] = now
	}
}

func (lb *balancer) close() error {
	lb.stop()
	lb.asking.Wait()
	return lb.server.Close()
}
