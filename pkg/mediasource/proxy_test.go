package mediasource_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/platform"
)

func newServerOn(l net.Listener, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	return s
}

// forwarding is a proxy that connects to one host whatever it is asked for, and remembers for whom.
func forwarding(t *testing.T, to *origin) *origin {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		out, err := net.Dial("tcp", to.host())
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer out.Close()
		if r.Method != http.MethodConnect {
			_ = r.WriteProxy(out)
			resp, err := http.ReadResponse(bufio.NewReader(out), r)
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer resp.Body.Close()
			w.WriteHeader(resp.StatusCode)
			_, _ = io.Copy(w, resp.Body)
			return
		}
		w.WriteHeader(http.StatusOK)
		in, early, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer in.Close()
		go func() {
			_, _ = io.Copy(out, early) // and not in: its first bytes may have been read already
			out.Close()
		}()
		_, _ = io.Copy(in, out)
	})
}

// proxied asks through a proxy.
func proxied(proxy string) mediasource.Config {
	c := config()
	c.Platform = platform.Config{EgressProxy: proxy}
	return c
}

func TestMediaComeThroughTheConfiguredProxyByTheNameAskedFor(t *testing.T) {
	body := wav(5 * part)
	o := secure(t, file(body, `"v1"`))
	proxy := forwarding(t, o)
	_, option := nameServer(t, []string{"93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"}) // public; nobody dials it here
	c := proxied(strings.Replace(proxy.URL, "http://", "http://user:"+secret+"@", 1))
	c.AllowedCIDRs = nil
	r := o.promised(len(body))
	r.URL = "https://example.com/m/rec-1.wav?sig=" + secret // httptest's certificate is good for this name
	wantMedia(t, source(t, c, option, trusting(o)), r, body)
	for _, asked := range proxy.requests() {
		if asked.Method != http.MethodConnect || asked.Host != "example.com:443" || asked.Header.Get("Proxy-Authorization") == "" {
			t.Errorf("the proxy was asked %s %s", asked.Method, asked.Host)
		}
	}
}

func TestTheProxyIsNotAskedForWhatPointsInside(t *testing.T) {
	inside := serve(t, file(wav(100), ""))
	proxy := forwarding(t, inside)
	c := proxied(proxy.URL)
	c.AllowedCIDRs = []string{"192.0.2.0/24"}
	for _, addresses := range [][]string{{"127.0.0.1"}, {"93.184.215.14", "10.0.0.1"}, {"::1"}, {"169.254.169.254"}, {"::ffff:127.0.0.1"}, {"64:ff9b::7f00:1"}, {"2002:7f00:1::"}} {
		_, option := nameServer(t, addresses)
		wantFault(t, source(t, c, option), mediasource.Request{URL: byName(inside), Format: "wav", Size: -1}, fault.Permanent, "TWINREEL_SOURCE_ALLOWED_CIDRS")
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:10.0.0.1]"} {
		wantFault(t, source(t, c), mediasource.Request{URL: "http://" + host + "/m/?sig=" + secret, Format: "wav", Size: -1}, fault.Permanent, "TWINREEL_SOURCE_ALLOWED_CIDRS")
	}
	wantFault(t, source(t, c), mediasource.Request{URL: "http://0x7f.1/m/", Format: "wav", Size: -1}, fault.Permanent, "unusual form")
	if n := len(proxy.requests()); n != 0 {
		t.Errorf("the proxy was asked %d times", n)
	}
}

func TestARedirectThroughTheProxyIsCheckedToo(t *testing.T) {
	o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/m/", http.StatusFound)
	})
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/m/", http.StatusFound)
	})
	wantFault(t, source(t, proxied(proxy.URL)), o.request(), fault.Permanent, "TWINREEL_SOURCE_ALLOWED_CIDRS")
	if n := len(proxy.requests()); n != 1 {
		t.Errorf("the proxy was asked %d times", n)
	}
}

func TestAProxyThatRefusesIsTheHostsFailure(t *testing.T) {
	o := secure(t, file(wav(100), ""))
	for _, code := range []int{403, 407, 502} {
		proxy := serve(t, status(code))
		wantFault(t, source(t, proxied(proxy.URL), trusting(o)), o.request(), fault.Unavailable, "")
	}
	proxy := serve(t, status(200))
	proxy.Close()
	wantFault(t, source(t, proxied(proxy.URL), trusting(o)), o.request(), fault.Unavailable, "refused")
}
