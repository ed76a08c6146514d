package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
)

// front stands before the S3 server and can answer in its place.
type front struct {
	*httptest.Server
	asked  atomic.Int64 // requests so far
	answer atomic.Pointer[refusal]
}

// refusal is an answer as S3 gives it.
type refusal struct {
	status     int
	code       string
	retryAfter string // "" for none
}

// newFront stands before the server at endpoint. Requests are signed for the name that they came by, so it is kept.
func (b *bed) newFront(endpoint string) *front {
	b.t.Helper()
	to, err := url.Parse(endpoint)
	b.must(err)
	f := &front{}
	through := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		if a := f.answer.Load(); a != nil {
			_, _ = io.Copy(io.Discard, r.Body) // S3 does so, too
			a.write(w)
			return
		}
		through.ServeHTTP(w, r)
	}))
	b.t.Cleanup(f.Close)
	return f
}

func (a refusal) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/xml")
	if a.retryAfter != "" {
		w.Header().Set("Retry-After", a.retryAfter)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, "<Error><Code>"+a.code+"</Code><Message>on purpose</Message></Error>")
}
