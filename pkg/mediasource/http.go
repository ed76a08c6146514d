package mediasource

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"

	"github.com/twinreel/twinreel/pkg/fault"
)

// maxRedirects is how many hops a link may take.
const maxRedirects = 3

// Errors of where a link leads, which trying again does not mend.
var (
	errScheme    = errors.New("the link is plain http; set TWINREEL_SOURCE_ALLOW_HTTP to take such links")
	errRedirects = errors.New("more than 3 redirects")
)

// HTTP is the Source that reads links. It is safe for concurrent use.
type HTTP struct {
	config Config
	part   int64
	client *http.Client
}

// NewHTTP returns the source. part is the size of a range in bytes. Which addresses it connects to is checked when they
// are dialled, so no name, redirect or spelling of an address gets around it. No proxy, no transparent decompression.
func NewHTTP(c Config, part int64) *HTTP {
	h := &HTTP{config: c, part: part}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: h.guardian().Safe}
	h.client = &http.Client{
		CheckRedirect: h.redirect,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, DisableCompression: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 64, IdleConnTimeout: 60 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		},
	}
	return h
}

// guardian decides about each address that is dialled.
func (h *HTTP) guardian() *ssrf.Guardian {
	prefixes, _ := h.config.prefixes() // settings.Checker has refused bad ones
	var v4, v6 []netip.Prefix
	for _, p := range prefixes {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
}

// redirect is http.Client.CheckRedirect. The signed link does not leave as a Referer.
func (h *HTTP) redirect(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer")
	if len(via) > maxRedirects {
		return errRedirects
	}
	return h.checkScheme(req.URL)
}

func (h *HTTP) checkScheme(u *url.URL) error {
	if u.Scheme == "https" || (u.Scheme == "http" && h.config.AllowHTTP) {
		return nil
	}
	if u.Scheme == "http" {
		return errScheme
	}
	return errors.New("the link is neither http nor https")
}

// Open implements Source.
func (h *HTTP) Open(ctx context.Context, r Request) (*Media, error) {
	if r.Size > int64(h.config.MaxBytes) {
		return nil, corrupt("%d bytes are promised; TWINREEL_MAX_RECORDING_BYTES is %d", r.Size, int64(h.config.MaxBytes))
	}
	m, err := h.open(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := m.peek(r.Format); err != nil {
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

// open makes the first request and decides by its answer how the rest is read.
func (h *HTTP) open(ctx context.Context, r Request) (*Media, error) {
	ranged := r.Size >= int64(h.config.RangeThreshold)
	first, err := h.get(ctx, r.URL, h.firstRange(ranged, r.Size), "")
	if err != nil {
		return nil, err
	}
	total, err := first.total()
	if err == nil {
		err = h.checkLength(r, total)
	}
	if err != nil {
		_ = first.Close()
		return nil, err
	}
	etag := first.pin()
	switch {
	case first.status == http.StatusPartialContent && etag == "":
		// Nothing to pin the next ranges to: read it in one go.
		_ = first.Close()
		if first, err = h.get(ctx, r.URL, "", ""); err != nil {
			return nil, err
		}
		if again, err := first.total(); err != nil || again != total || first.status != http.StatusOK {
			_ = first.Close()
			return nil, changed()
		}
	case first.status == http.StatusPartialContent, total >= int64(h.config.RangeThreshold) && etag != "" && first.acceptsRanges:
		return h.media(&ranges{source: h, ctx: ctx, url: r.URL, etag: etag, total: total, now: first, left: min(h.part, total), next: min(h.part, total)}, total), nil
	}
	return h.media(first, total), nil
}

func (h *HTTP) media(from stream, total int64) *Media {
	return NewMedia(from, total, int64(h.config.MaxBytes))
}

func (h *HTTP) firstRange(ranged bool, size int64) string {
	if !ranged {
		return ""
	}
	return byteRange(0, min(h.part, size))
}

// checkLength holds the length that the source tells (-1: none) against the promise and the bound.
func (h *HTTP) checkLength(r Request, total int64) error {
	switch {
	case total > int64(h.config.MaxBytes):
		return corrupt("it has %d bytes; TWINREEL_MAX_RECORDING_BYTES is %d", total, int64(h.config.MaxBytes))
	case total >= 0 && r.Size >= 0 && total != r.Size:
		return corrupt("it has %d bytes, and %d are promised", total, r.Size)
	case total < 0 && r.Size < 0 && !r.SizeOptional:
		return corrupt("its length is unknown: no Content-Length, and neither size nor sha256 in the event")
	}
	return nil
}

// get makes one request, for a range if one is given, pinned to etag if one is given.
func (h *HTTP) get(ctx context.Context, link, rng, etag string) (*response, error) {
	u, err := url.Parse(link)
	if err != nil {
		return nil, fault.New(fault.Permanent, fault.Source, "open media", errors.New("the link cannot be parsed"))
	}
	op := "get media from " + u.Host
	if err := h.checkScheme(u); err != nil {
		return nil, fault.New(fault.Permanent, fault.Source, op, err)
	}
	watch := newWatch(ctx, h.config.StallTimeout)
	req, err := http.NewRequestWithContext(watch.ctx, http.MethodGet, link, nil)
	if err != nil {
		watch.close()
		return nil, fault.New(fault.Permanent, fault.Source, op, errors.New("the link cannot be requested"))
	}
	req.Header.Set("Accept-Encoding", "identity")
	if rng != "" {
		req.Header.Set("Range", rng)
	}
	if etag != "" {
		req.Header.Set("If-Range", etag)
	}
	watch.start()
	res, err := h.client.Do(req)
	watch.stop()
	if err != nil {
		err = classify(watch.cause(err), op)
		watch.close()
		return nil, err
	}
	out := &response{
		body: res.Body, watch: watch, op: op, status: res.StatusCode, length: res.ContentLength, etag: res.Header.Get("ETag"), contentRange: res.Header.Get("Content-Range"),
		acceptsRanges: strings.EqualFold(strings.TrimSpace(res.Header.Get("Accept-Ranges")), "bytes"),
	}
	if err := refused(res, op, rng != ""); err != nil {
		_ = out.Close()
		return nil, err
	}
	return out, nil
}

// refused returns the fault of an answer that brings no media.
func refused(res *http.Response, op string, ranged bool) error {
	code := res.StatusCode
	f := fault.New(fault.Transient, fault.Source, op, fmt.Errorf("status %d", code))
	f.Status, f.RetryAfter = code, retryAfter(res.Header.Get("Retry-After"))
	switch {
	case code == http.StatusOK, code == http.StatusPartialContent && ranged:
		if e := res.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
			return corrupt("it comes with a Content-Encoding, which was not asked for")
		}
		return nil
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound, code == http.StatusGone:
		f.Class = fault.SourceGone
	case code == http.StatusTooManyRequests:
		f.Class = fault.Throttled
	case code >= 500:
		f.Class = fault.Unavailable
	}
	return f
}

// classify puts a failed request or read into its class.
func classify(err error, op string) error {
	err = fault.WithoutURL(err)
	var f *fault.Error
	switch {
	case errors.As(err, &f), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, errScheme), errors.Is(err, errRedirects):
		return fault.New(fault.Permanent, fault.Source, op, err)
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork), errors.Is(err, ssrf.ErrInvalidHostPort):
		return fault.New(fault.Permanent, fault.Source, op, errors.New("its address is not public; TWINREEL_SOURCE_ALLOWED_CIDRS allows private ranges"))
	}
	return fault.New(fault.Unavailable, fault.Source, op, err)
}

// changed is the fault of media that became others while they were read.
func changed() error {
	return fault.New(fault.Transient, fault.Source, "read media", errors.New("it changed while it was read; start again"))
}

// retryAfter reads a Retry-After header, 0 if there is none or it is unusable.
func retryAfter(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return time.Duration(min(n, 86400)) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

var _ io.ReadCloser = (*response)(nil)
