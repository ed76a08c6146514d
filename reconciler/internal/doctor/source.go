package doctor

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
)

// Source is the platform, as far as its addresses are known beforehand: media links come with each webhook.
type Source struct {
	Addresses map[string]string // by variable
	Order     []string          // of the variables
	Client    *http.Client
}

// Examine implements Part.
func (s Source) Examine(ctx context.Context) []Check {
	q := question{"platform.reachable", "the platform's API answers from here", "expired media links are renewed there, and the webhook is registered there"}
	var out []Check
	for _, name := range s.Order {
		if address := s.Addresses[name]; address != "" {
			out = append(out, s.ask(ctx, q, name, address))
		}
	}
	if len(out) == 0 {
		return []Check{q.unknown("set TWINREEL_PLATFORM_API_URL, or TWINREEL_RESOLVER_URL, to have them asked", "no address of the platform is set; media hosts are known from webhooks only")}
	}
	return out
}

// ask is content with any answer of HTTP: without token and path there is hardly a 200.
func (s Source) ask(ctx context.Context, q question, variable, address string) Check {
	const timeout = 10 * time.Second
	const mend = "see that DNS, proxy (TWINREEL_EGRESS_PROXY), firewall and certificates let this machine, and the workers', reach it"
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	u, err := url.Parse(address)
	if err != nil {
		return q.fail("correct "+variable, "%s is no address", variable)
	}
	root := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, root.String(), http.NoBody)
	if err != nil {
		return q.fail("correct "+variable, "%s is no address", variable)
	}
	began := time.Now()
	resp, err := s.Client.Do(req)
	if err != nil {
		return q.fail(mend, "%s: %s does not answer: %s", variable, u.Host, fault.Text(fault.WithoutURL(err)))
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	found := "%s: %s answers (%d) in %s"
	if u.Scheme == "http" && !strings.HasPrefix(u.Hostname(), "127.") && u.Hostname() != "localhost" {
		return q.warn("use https", found+", without TLS", variable, u.Host, resp.StatusCode, time.Since(began).Round(time.Millisecond))
	}
	return q.pass(found, variable, u.Host, resp.StatusCode, time.Since(began).Round(time.Millisecond))
}
