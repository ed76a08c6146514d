package mediasource_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
)

// siblings takes copies from these origins, and nothing else from this machine.
func siblings(t *testing.T, origins ...string) *mediasource.HTTP {
	c := config()
	c.AllowHTTP, c.AllowedCIDRs, c.CopyOrigins = false, nil, origins
	if problems := c.Check(); len(problems) != 0 {
		t.Fatal(problems)
	}
	h := mediasource.NewSibling(c, part)
	t.Cleanup(h.Close)
	return h
}

func TestACopyComesFromAnOriginThatIsConfiguredWhereverItIs(t *testing.T) {
	body := wav(5 * part)
	o := serve(t, file(body, `"v1"`))
	wantMedia(t, siblings(t, "https://elsewhere.example", strings.ToUpper(o.URL[:4])+o.URL[4:]), o.promised(len(body)), body)
}

func TestACopyComesFromNoOtherOrigin(t *testing.T) {
	o := serve(t, file(wav(100), ""))
	port := o.URL[strings.LastIndexByte(o.URL, ':'):]
	for _, origins := range [][]string{nil, {"http://127.0.0.1"}, {"http://127.0.0.1:1"}, {"https://127.0.0.1" + port}, {"http://localhost" + port}} {
		wantFault(t, siblings(t, origins...), o.request(), fault.Permanent, "TWINREEL_COPY_FROM_ORIGINS")
	}
	for _, link := range []string{"file:///m/", "http://127.0.0.1" + port + "0/m/", o.URL + "@10.0.0.1/m/", "//127.0.0.1" + port + "/m/", ""} {
		wantFault(t, siblings(t, o.URL), mediasource.Request{URL: link, Format: "wav", Size: -1}, fault.Permanent, "")
	}
	if n := len(o.requests()); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

func TestARedirectOfACopyStaysAmongTheOrigins(t *testing.T) {
	inside := serve(t, file(wav(100), ""))
	o := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inside.link(), http.StatusFound) })
	wantFault(t, siblings(t, o.URL), o.request(), fault.Permanent, "TWINREEL_COPY_FROM_ORIGINS")
	wantMedia(t, siblings(t, o.URL, inside.URL), o.request(), wav(100))
	if n := len(inside.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestOriginsAreChecked(t *testing.T) {
	for _, bad := range []string{"", "example.com", "https://", "ftp://x", "https://x/", "https://x/path", "https://u:p@x", "https://x?q", "*"} {
		c := config()
		c.CopyOrigins = []string{bad}
		if problems := c.Check(); len(problems) != 1 || problems[0].Variable != "TWINREEL_COPY_FROM_ORIGINS" {
			t.Errorf("%q: %v", bad, problems)
		}
	}
}

func TestTheUsualPortOfAnOriginGoesWithoutSaying(t *testing.T) {
	for origin, link := range map[string]string{"https://127.0.0.1": "https://127.0.0.1:443/m/", "https://127.0.0.1:443": "https://127.0.0.1/m/"} {
		_, err := siblings(t, origin).Open(t.Context(), mediasource.Request{URL: link, Format: "wav", Size: -1})
		if err == nil || fault.ClassOf(err) == fault.Permanent { // nobody is there, which is not a refusal
			t.Errorf("%s from %s: %v", link, origin, err)
		}
	}
}

// TestAMarkThatAnS3ServerKeptIsNoCompression is versitygw's answer for what was stored by a streamed request.
func TestAMarkThatAnS3ServerKeptIsNoCompression(t *testing.T) {
	body := wav(5 * part)
	o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "aws-chunked")
		file(body, `"v1"`)(w, r)
	})
	wantMedia(t, siblings(t, o.URL), o.promised(len(body)), body)
	wantFault(t, source(t, config()), o.promised(len(body)), fault.Corrupt, "compressed")
}
