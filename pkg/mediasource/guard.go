package mediasource

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"code.dny.dev/ssrf"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/platform"
)

// Bounds of connecting.
const (
	dialTimeout  = 10 * time.Second
	idleTimeout  = 30 * time.Second
	idlePerHost  = 4096 // as many as were in use at once, that is: none is closed that the next recordings will want
	maxHeader    = 64 << 10
	maxRedirects = 3
)

// guard lets through only addresses that are public or allowed.
type guard struct {
	*ssrf.Guardian
	config   Config
	resolver *net.Resolver
}

func newGuard(c Config, r *net.Resolver) *guard {
	v4, v6 := c.allowed()
	return &guard{ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)), c, r}
}

// transport returns one that dials only such addresses. The check is made on the very address that is dialled, after the
// name was resolved, so no name and no way of writing an address gets around it. Through a proxy, which the operator has
// set up and which may be anywhere, may makes it.
func (g *guard) transport() *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: g.Safe, Resolver: g.resolver}
	proxy := g.config.Platform.Proxy()
	if proxy != nil {
		dialer = &net.Dialer{Timeout: dialTimeout}
	}
	t := plainTransport(dialer)
	t.Proxy = proxy
	return t
}

// plainTransport returns one with our bounds.
func plainTransport(dialer *net.Dialer) *http.Transport {
	return &http.Transport{
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true, DisableCompression: true, TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: idlePerHost, IdleConnTimeout: idleTimeout, MaxResponseHeaderBytes: maxHeader,
	}
}

const opMay = "ask for media"

// may says whether a link, or a redirect, may be asked at all. The dialled address is checked later; where a proxy dials,
// all addresses of the name asked for are checked here.
func (g *guard) may(ctx context.Context, u *url.URL) error {
	refuse := func(text string) error { return fault.New(fault.Permanent, fault.Source, opMay, errors.New(text)) }
	switch {
	case u.Scheme == "http" && !g.config.AllowHTTP:
		return refuse("the link is plain http, or a redirect to it; TWINREEL_SOURCE_ALLOW_HTTP=true would take it")
	case u.Scheme != "http" && u.Scheme != "https":
		return refuse("the link, or a redirect, is neither https nor http")
	case u.Hostname() == "":
		return refuse("the link, or a redirect, names no host")
	case oddAddress(u.Hostname()):
		return refuse("the link, or a redirect, names an address in an unusual form")
	case g.config.Platform.EgressProxy != "":
		return g.lookUp(ctx, u.Hostname())
	}
	return nil
}

// lookUp checks every address that a name has: which of them the proxy would take nobody knows.
func (g *guard) lookUp(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	found, err := g.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return failed(ctx, opMay, err)
	}
	for _, ip := range found {
		if g.SafeAddr(ip.Unmap()) != nil {
			return fault.New(fault.Permanent, fault.Source, opMay, notPublic(ip.Unmap().String()))
		}
	}
	return nil
}

// oddAddress reports whether host is an IPv4 address in a form that some resolvers take and others do not, such as
// 2130706433, 0x7f.1 or 127.1: what ends in a number is no name (URL standard, "ends in a number").
func oddAddress(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	host = strings.TrimSuffix(host, ".")
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// redirect returns where an answer sends us on to, nil if it does not.
func redirect(resp *http.Response) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	u, err := resp.Location()
	if err != nil {
		return nil, errors.New("it answered with a redirect that cannot be read") // err would show where to
	}
	return u, nil
}

// refused turns a refusal by the guard into words; nil if err is none.
func refused(err error) error {
	if !errors.Is(err, ssrf.ErrProhibitedIP) && !errors.Is(err, ssrf.ErrProhibitedNetwork) && !errors.Is(err, ssrf.ErrInvalidHostPort) {
		return nil
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		if host, _, err := net.SplitHostPort(op.Addr.String()); err == nil {
			return notPublic(host)
		}
	}
	return notPublic("")
}

func notPublic(address string) error {
	if address != "" {
		address += " "
	}
	return fmt.Errorf("its address %sis not public; a range in TWINREEL_SOURCE_ALLOWED_CIDRS would allow it", address)
}

// errStalled is why a request was given up that brought no byte for too long.
var errStalled = errors.New("stalled: no byte came within TWINREEL_SOURCE_STALL_TIMEOUT")

// reason says why ctx ended: errStalled, errTrickles, errClosed, or the caller's; nil if it has not.
func reason(ctx context.Context) error {
	cause := context.Cause(ctx)
	for _, known := range []error{errStalled, errTrickles, errClosed, context.DeadlineExceeded} {
		if errors.Is(cause, known) {
			return known
		}
	}
	return ctx.Err()
}

// failed classifies what went wrong under ctx while talking to a host.
func failed(ctx context.Context, op string, err error) error {
	switch why := reason(ctx); {
	case errors.Is(why, errStalled), errors.Is(why, errTrickles):
		return fault.New(fault.Unavailable, fault.Source, op, why)
	case errors.Is(why, errClosed):
		return errClosed
	case why != nil:
		return fault.New(fault.ClassOf(why), fault.Source, op, why)
	}
	if no := refused(err); no != nil {
		return fault.New(fault.Permanent, fault.Source, op, no)
	}
	return fault.New(fault.Unavailable, fault.Source, op, platform.InWords(err))
}
