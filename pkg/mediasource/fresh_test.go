package mediasource_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/platform"
)

var errBusy = errors.New("still being transcoded")

// links answers with one link, or fails.
type links struct {
	link  string
	err   error
	asked []string
}

func (l *links) Resolve(_ context.Context, source, recordingID string) (string, error) {
	l.asked = append(l.asked, source+"/"+recordingID)
	return l.link, l.err
}

func named(r mediasource.Request) mediasource.Request {
	r.Source, r.RecordingID = "emea", "rec-1"
	return r
}

func TestALinkThatIsGoneIsAskedForAnew(t *testing.T) {
	body := wav(5 * part)
	good := serve(t, file(body, `"v1"`))
	for _, code := range []int{401, 403, 404, 410} {
		gone := serve(t, status(code))
		l := &links{link: good.link()}
		f := mediasource.Fresh{Media: source(t, config()), Links: l}
		wantMedia(t, f, named(gone.promised(len(body))), body)
		if len(gone.requests()) != 1 || strings.Join(l.asked, " ") != "emea/rec-1" {
			t.Errorf("%d: asked %d times, resolver for %q", code, len(gone.requests()), l.asked)
		}
	}
}

func TestARecordingWithoutALinkStartsAtTheResolver(t *testing.T) {
	body := wav(100)
	o := serve(t, file(body, ""))
	l := &links{link: o.link()}
	r := named(o.request())
	r.URL = ""
	wantMedia(t, mediasource.Fresh{Media: source(t, config()), Links: l}, r, body)
	l.err = platform.ErrNoResolver
	wantFault(t, mediasource.Fresh{Media: source(t, config()), Links: l}, r, fault.SourceGone, "no link")
}

func TestNothingElseAsksTheResolver(t *testing.T) {
	page := file([]byte("<html>"), "")
	for name, handle := range map[string]http.HandlerFunc{"500": status(500), "429": status(429), "a page": page, "400": status(400)} {
		o := serve(t, handle)
		l := &links{link: o.link()}
		if _, err := fetch(t, mediasource.Fresh{Media: source(t, config()), Links: l}, named(o.request())); err == nil || len(l.asked) != 0 {
			t.Errorf("%s: %v, asked for %q", name, err, l.asked)
		}
	}
	o := serve(t, file(wav(100), ""))
	l := &links{}
	wantMedia(t, mediasource.Fresh{Media: source(t, config()), Links: l}, named(o.request()), wav(100))
	if len(l.asked) != 0 {
		t.Errorf("a good link: asked for %q", l.asked)
	}
}

func TestWhatTheResolverSaysIsTheAnswer(t *testing.T) {
	gone := serve(t, status(http.StatusForbidden))
	still := fault.New(fault.Throttled, fault.Platform, "ask", errBusy)
	_, err := mediasource.Fresh{Media: source(t, config()), Links: &links{err: still}}.Open(t.Context(), named(gone.request()))
	if !fault.Is(err, fault.Throttled, fault.Platform) {
		t.Errorf("later: %v", err)
	}
	l := &links{err: platform.ErrNoResolver}
	wantFault(t, mediasource.Fresh{Media: source(t, config()), Links: l}, named(gone.request()), fault.SourceGone, "403")
	l = &links{link: gone.link()}
	wantFault(t, mediasource.Fresh{Media: source(t, config()), Links: l}, named(gone.request()), fault.SourceGone, "403")
	if n := len(l.asked); n != 1 {
		t.Errorf("asked the resolver %d times", n)
	}
}

// TestAFreshLinkIsNoBetterThanAnother lets the resolver be an attacker's.
func TestAFreshLinkIsNoBetterThanAnother(t *testing.T) {
	gone, inside := serve(t, status(http.StatusGone)), serve(t, file(wav(100), ""))
	c := config()
	c.AllowedCIDRs = []string{"127.0.0.1/32"}
	port := inside.URL[strings.LastIndexByte(inside.URL, ':'):]
	for link, text := range map[string]string{
		"http://127.0.0.2" + port + "/m/?sig=" + secret: "TWINREEL_SOURCE_ALLOWED_CIDRS", "http://169.254.169.254/m/?sig=" + secret: "TWINREEL_SOURCE_ALLOWED_CIDRS",
		"file:///m/?sig=" + secret: "neither https nor http", "http://2130706433" + port + "/m/": "unusual form", "http://[::1" + "/m/": "not a URL",
	} {
		f := mediasource.Fresh{Media: source(t, c), Links: &links{link: link}}
		wantFault(t, f, named(gone.request()), fault.Permanent, text)
	}
	c.AllowHTTP = false
	secured := secure(t, status(http.StatusGone))
	wantFault(t, mediasource.Fresh{Media: source(t, c, trusting(secured)), Links: &links{link: inside.link()}}, named(secured.request()), fault.Permanent, "TWINREEL_SOURCE_ALLOW_HTTP")
	if n := len(inside.requests()); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}
