package mediasource_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
)

func TestASmallRecordingIsOnePlainRequest(t *testing.T) {
	body := wav(threshold - 1)
	o := serve(t, file(body, `"v1"`))
	for _, r := range []mediasource.Request{o.request(), o.promised(len(body))} {
		before := len(o.requests())
		wantMedia(t, source(t, config()), r, body)
		asked := o.requests()[before:]
		if len(asked) != 1 {
			t.Fatalf("%d requests", len(asked))
		}
		h := asked[0].Header
		if h.Get("Range") != "" || h.Get("If-Range") != "" || h.Get("Accept-Encoding") != "identity" || h.Get("Authorization") != "" {
			t.Errorf("asked with %v", h)
		}
		if asked[0].URL.RawQuery != "sig="+secret {
			t.Errorf("asked for %s", asked[0].URL)
		}
	}
}

func TestMediaKnowTheirHostAndSizeBeforeTheyAreRead(t *testing.T) {
	o := serve(t, file(wav(500), ""))
	m, err := source(t, config()).Open(t.Context(), o.request())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Size != 500 || m.Host != strings.TrimPrefix(o.URL, "http://") {
		t.Errorf("size %d, host %q", m.Size, m.Host)
	}
}

func TestAnUnknownLengthIsFineWhereSomethingElseIsKnown(t *testing.T) {
	body := wav(2500)
	o := serve(t, chunked(body))
	s := source(t, config())
	wantFault(t, s, o.request(), fault.Corrupt, "length is unknown")
	wantMedia(t, s, o.promised(len(body)), body)
	r := o.request()
	r.SizeOptional = true
	m, err := s.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if m.Size != -1 {
		t.Errorf("size %d, though nobody told it", m.Size)
	}
	m.Close()
	wantMedia(t, s, r, body)
}

func TestTLSIsCheckedAndUsed(t *testing.T) {
	body := wav(5 * part)
	o := &origin{}
	o.Server = httptest.NewUnstartedServer(o.remember(file(body, `"v1"`)))
	o.EnableHTTP2 = true
	o.Config.ErrorLog = log.New(io.Discard, "", 0) // one handshake fails on purpose
	o.StartTLS()
	t.Cleanup(o.Close)
	c := config()
	c.AllowHTTP = false
	wantFault(t, source(t, c), o.request(), fault.Unavailable, "certificate is not trusted")
	wantMedia(t, source(t, c, mediasource.RootCAs(pool(o))), o.request(), body)
	if got := o.requests()[0].ProtoMajor; got != 2 {
		t.Errorf("spoken: HTTP %d", got)
	}
}

func TestNoProxyOfTheEnvironmentIsUsed(t *testing.T) {
	proxy := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	o := serve(t, file(wav(100), ""))
	wantMedia(t, source(t, config()), o.request(), wav(100))
	if n := len(proxy.requests()); n != 0 {
		t.Errorf("the proxy was asked %d times", n)
	}
}

// hops redirects n times before it serves body.
func hops(t *testing.T, n int, body []byte) *origin {
	var o *origin
	o = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if len(o.requests()) > n {
			file(body, "")(w, r)
			return
		}
		http.Redirect(w, r, fmt.Sprintf("/m/hop?sig=%s", secret), http.StatusTemporaryRedirect)
	})
	return o
}

func TestThreeRedirectsAreFollowedAndNotFour(t *testing.T) {
	body := wav(100)
	o := hops(t, 3, body)
	wantMedia(t, source(t, config()), o.request(), body)
	o = hops(t, 4, body)
	wantFault(t, source(t, config()), o.request(), fault.Permanent, "more than 3 redirects")
}

func TestARedirectTellsTheNextHostNothing(t *testing.T) {
	body := wav(5 * part)
	next := serve(t, file(body, `"v1"`))
	first := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "a=b")
		http.Redirect(w, r, next.URL+"/other", http.StatusFound)
	})
	r := first.promised(len(body))
	r.URL = strings.Replace(r.URL, "http://", "http://user:"+secret+"@", 1)
	wantMedia(t, source(t, config()), r, body)
	if user, _, ok := first.requests()[0].BasicAuth(); !ok || user != "user" {
		t.Error("the link's own user was not sent to its host")
	}
	for _, asked := range next.requests() {
		for _, h := range []string{"Authorization", "Referer", "Cookie"} {
			if asked.Header.Get(h) != "" {
				t.Errorf("%s: %q went to another host", h, asked.Header.Get(h))
			}
		}
		if asked.Header.Get("Range") == "" {
			t.Error("the range was lost on the way")
		}
	}
}

func TestRedirectsThatLeadNowhereGoodAreRefused(t *testing.T) {
	for location, text := range map[string]string{
		"ftp://127.0.0.1/m/x?sig=" + secret: "neither https nor http",
		"file:///m/x?sig=" + secret:         "neither https nor http",
		"http://%zz/m/x?sig=" + secret:      "cannot be read",
		"/m/%zz?sig=" + secret:              "cannot be read",
		"http:///m/x?sig=" + secret:         "no host",
		"http://2130706433/m/x":             "unusual form",
		"":                                  "cannot be read",
	} {
		o := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusFound)
		})
		wantFault(t, source(t, config()), o.request(), fault.Permanent, text)
	}
}

func TestADowngradeToPlainHTTPIsRefusedUnlessAllowed(t *testing.T) {
	body := wav(100)
	open := serve(t, file(body, ""))
	o := &origin{}
	o.Server = httptest.NewTLSServer(o.remember(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, open.link(), http.StatusFound) }))
	t.Cleanup(o.Close)
	c := config()
	wantMedia(t, source(t, c, mediasource.RootCAs(pool(o))), o.request(), body)
	c.AllowHTTP = false
	wantFault(t, source(t, c, mediasource.RootCAs(pool(o))), o.request(), fault.Permanent, "TWINREEL_SOURCE_ALLOW_HTTP")
	wantFault(t, source(t, c), open.request(), fault.Permanent, "TWINREEL_SOURCE_ALLOW_HTTP")
	if n := len(open.requests()); n != 1 {
		t.Errorf("plain http was asked %d times, once allowed", n)
	}
}

func TestLinksThatAreNoneAreRefused(t *testing.T) {
	s := source(t, config())
	for link, text := range map[string]string{
		"":                            "neither https nor http",
		"/m/rec-1.wav":                "neither https nor http",
		"gopher://127.0.0.1/m/x":      "neither https nor http",
		"http:///m/x":                 "no host",
		"http://[::1/m/x?sig=s3cret":  "not a URL",
		"http://a b/m/x?sig=s3cret":   "not a URL",
		"http://h/\x7f/m/?sig=s3cret": "not a URL",
		"http:opaque/m/?sig=s3cret":   "no host",
	} {
		wantFault(t, s, mediasource.Request{URL: link, Format: "wav", Size: -1}, fault.Permanent, text)
	}
}

func TestPrivateAddressesAreRefusedInEveryForm(t *testing.T) {
	asked := serve(t, file(wav(100), ""))
	_, port, err := net.SplitHostPort(asked.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := config()
	c.AllowedCIDRs = []string{"192.0.2.0/24"}
	s := source(t, c)
	for _, host := range []string{
		"127.0.0.1", "127.1", "127.0.0.1.", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.000.000.001", "0", "0.0.0.0", "[::]", "[::1]",
		"[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[fe80::1]", "[fd00::1]", "169.254.169.254", "[fd00:ec2::254]",
		"10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "224.0.0.1", "255.255.255.255", "localhost", "LOCALHOST",
	} {
		direct := "http://" + net.JoinHostPort(strings.Trim(host, "[]"), port) + "/m/?sig=" + secret
		wantFault(t, s, mediasource.Request{URL: direct, Format: "wav", Size: -1}, fault.Permanent, "")
	}
	if n := len(asked.requests()); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

func TestARedirectToAPrivateAddressIsRefused(t *testing.T) {
	inside := serve(t, file(wav(100), ""))
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := config()
	c.AllowedCIDRs = []string{"127.0.0.1/32"}
	for _, host := range []string{"127.0.0.2", "[::1]", "169.254.169.254", "10.0.0.1"} {
		to := "http://" + host + ":" + port + "/m/?sig=" + secret
		o := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) })
		wantFault(t, source(t, c), o.request(), fault.Permanent, "TWINREEL_SOURCE_ALLOWED_CIDRS")
	}
	if n := len(inside.requests()); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

func TestAnAllowedRangeIsAllowedByNameToo(t *testing.T) {
	o := serve(t, file(wav(100), ""))
	_, port, err := net.SplitHostPort(o.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := config()
	c.StallTimeout = 20 * time.Second
	for _, host := range []string{"127.0.0.1", "localhost"} {
		wantMedia(t, source(t, c), mediasource.Request{URL: "http://" + host + ":" + port + "/m/", Format: "wav", Size: -1}, wav(100))
	}
}
