package mediasource

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"

	"github.com/twinreel/twinreel/pkg/fault"
)

// awsChunked is how an object that came in chunks was sent to an S3 server. AWS forgets it; others answer with it, though
// the bytes that they give are plain. Whatever they are, they are held against the copy's digest.
const awsChunked = "aws-chunked"

// NewSibling returns an HTTP that reads a redrive's copy from the sibling's store: from the origins in
// TWINREEL_COPY_FROM_ORIGINS alone, also after a redirect. Those may have any address and be plain http; they are the
// operator's own. No token goes along, and no proxy is asked.
func NewSibling(c Config, part int64, list ...Option) *HTTP {
	o := optionsOf(list)
	var origins []string
	for _, s := range c.CopyOrigins {
		if u, err := url.Parse(s); err == nil {
			origins = append(origins, origin(u))
		}
	}
	h := newHTTP(c, part, func() *http.Transport { return plainTransport(&net.Dialer{Timeout: dialTimeout, Resolver: o.resolver}) }, o)
	h.marker = awsChunked
	h.may = func(_ context.Context, u *url.URL) error {
		if !slices.Contains(origins, origin(u)) {
			return fault.New(fault.Permanent, fault.Source, "ask the sibling's store", errors.New("the copy's origin is not in TWINREEL_COPY_FROM_ORIGINS"))
		}
		return nil
	}
	return h
}
