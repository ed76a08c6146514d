// Package calls knows what the programs ask of the stores, and what nobody may ask: each call is made by the programs' own code
// (or, where none of it would, by the cloud's SDK) against the real local servers, through a proxy that keeps every request. What
// rights a request takes is read off it as AWS and Azure document it.
package calls

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// Identity is who asks.
type Identity string

// Those who ask.
const (
	Writer Identity = "writer"      // worker-primary, worker-backup
	Reader Identity = "reader"      // the reconciler
	Glass  Identity = "break-glass" // who may delete
	Admin  Identity = "administrator"
	Other  Identity = "anybody else"
)

// Identities are all of them, in the order of the tables.
func Identities() []Identity { return []Identity{Writer, Reader, Glass, Admin, Other} }

// Call is one thing that somebody may want to do in a store.
type Call struct {
	Name     string
	By       Identity   // who makes it here, for the recording: the code that needs it, or would
	May      []Identity // who is to be allowed
	Code     bool       // made by the programs' own code
	Requests []Request  // what it sent
	Err      error      // what came of it

	Context map[string]string // condition keys that come out otherwise than usual: no TLS, another region
	Direct  []Right           // rights that it takes besides: of calls that no local server knows
}

// Request is a request as it was sent, and how it was answered.
type Request struct {
	Method string
	Path   string
	Query  url.Values
	Header http.Header
	Body   []byte // at most a few KiB of it
	Status int
}

// bodyKept is as much of a body as is needed to know what is asked for.
const bodyKept = 16 << 10

// Recorder is a proxy to a server that keeps the requests that pass.
type Recorder struct {
	URL    string
	server *http.Server
	mu     sync.Mutex
	list   []Request
}

// Record starts a recorder before the server at target.
func Record(target string) (*Recorder, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Recorder{URL: "http://" + l.Addr().String() + to.Path}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = to.Scheme, to.Host
			p.Out.Host = p.In.Host // it is signed
		},
		ModifyResponse: func(answer *http.Response) error {
			r.answered(answer.Request, answer.StatusCode)
			return nil
		},
		// Where a connection breaks, so does the other.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	r.server = &http.Server{Handler: keeping(proxy), ReadHeaderTimeout: time.Minute}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

// kept is the key under which a request's body is kept in its context.
type kept struct{}

// keeping keeps the beginning of each body.
func keeping(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var head bytes.Buffer
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &bounded{&head}), r.Body}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), kept{}, &head)))
	})
}

// bounded takes no more than bodyKept, and says that it took all.
type bounded struct{ *bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := bodyKept - b.Len(); room > 0 {
		_, _ = b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (r *Recorder) answered(sent *http.Request, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var body []byte
	if head, ok := sent.Context().Value(kept{}).(*bytes.Buffer); ok {
		body = bytes.Clone(head.Bytes())
	}
	r.list = append(r.list, Request{sent.Method, sent.URL.Path, sent.URL.Query(), sent.Header.Clone(), body, status})
}

// Take returns what passed since it was last asked.
func (r *Recorder) Take() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.list
	r.list = nil
	return out
}

// Close ends it.
func (r *Recorder) Close() { _ = r.server.Close() }

// step is a call that is yet to be made.
type step struct {
	name string
	by   Identity
	may  []Identity
	code bool
	do   func(ctx context.Context) error
}

// make makes the calls one after the other.
func (r *Recorder) make(ctx context.Context, steps []step) ([]Call, error) {
	var out []Call
	var errs []error
	for _, s := range steps {
		r.Take()
		err := s.do(ctx)
		c := Call{Name: s.name, By: s.by, May: s.may, Code: s.code, Requests: r.Take(), Err: err}
		if len(c.Requests) == 0 {
			errs = append(errs, errors.Join(errors.New(s.name+": nothing was sent"), err))
		}
		out = append(out, c)
	}
	return out, errors.Join(errs...)
}
