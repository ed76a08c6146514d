package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twinreel/twinreel/pkg/fault"
)

func TestTheClassIsThatOfTheOutermostFault(t *testing.T) {
	inner := fault.New(fault.Throttled, fault.Store, "put x", io.EOF)
	outer := fault.New(fault.Conflict, fault.Event, "judge", fmt.Errorf("while: %w", inner))
	for _, c := range []struct {
		name  string
		err   error
		class fault.Class
		part  fault.Part
	}{
		{"classified", inner, fault.Throttled, fault.Store},
		{"wrapped", fmt.Errorf("copy: %w", inner), fault.Throttled, fault.Store},
		{"classified again", outer, fault.Conflict, fault.Event},
		{"unclassified", io.EOF, fault.Transient, fault.Worker},
		{"refused connection", &net.OpError{Op: "dial", Err: errors.New("refused")}, fault.Unavailable, fault.Worker},
		{"time-out", context.DeadlineExceeded, fault.Unavailable, fault.Worker},
		{"cancelled", context.Canceled, fault.Transient, fault.Worker},
	} {
		if class, part := fault.ClassOf(c.err), fault.PartOf(c.err); class != c.class || part != c.part {
			t.Errorf("%s: %v %v, want %v %v", c.name, class, part, c.class, c.part)
		}
	}
	if !errors.Is(outer, io.EOF) {
		t.Error("the cause is lost")
	}
}

func TestStatusAndRetryAfterTravelWithTheFault(t *testing.T) {
	f := fault.New(fault.Throttled, fault.Source, "get", io.EOF)
	f.Status, f.RetryAfter = http.StatusTooManyRequests, 7*time.Second
	err := fmt.Errorf("copy: %w", f)
	if fault.StatusOf(err) != 429 || fault.RetryAfterOf(err) != 7*time.Second {
		t.Errorf("got %d %s", fault.StatusOf(err), fault.RetryAfterOf(err))
	}
	if fault.StatusOf(io.EOF) != 0 || fault.RetryAfterOf(io.EOF) != 0 {
		t.Error("something out of nothing")
	}
}

func TestNoTextShowsAURL(t *testing.T) {
	secret := "https://user:pw@cdn.example.com:8443/m/it's`1?sig=s3cret&x=1"
	for _, err := range []error{
		&url.Error{Op: "Get", URL: secret, Err: errors.New("refused")},
		fmt.Errorf("get %q: %w", secret, io.EOF),
		fmt.Errorf("redirect to <%s>, HTTPS://CDN.EXAMPLE.COM/?sig=s3cret", secret),
		fault.New(fault.Unavailable, fault.Source, "get "+secret, &url.Error{Op: "Get", URL: secret, Err: io.EOF}),
	} {
		text := fault.Text(err)
		if strings.Contains(text, "s3cret") || strings.Contains(text, "pw@") {
			t.Errorf("leaks: %s", text)
		}
		if !strings.Contains(strings.ToLower(text), "cdn.example.com") {
			t.Errorf("the host is lost: %s", text)
		}
	}
}

func TestATextIsOneShortLine(t *testing.T) {
	text := fault.Clean("a\r\nHeader: x\x00" + strings.Repeat("ü", 2000))
	if strings.ContainsAny(text, "\r\n\x00") || len(text) > fault.MaxText || !utf8.ValidString(text) {
		t.Errorf("got %d bytes, %q…", len(text), text[:20])
	}
	if fault.Text(nil) != "" {
		t.Error("nothing has a text")
	}
}

func TestEveryClassHasAName(t *testing.T) {
	seen := map[string]bool{}
	for c := fault.Transient; c <= fault.Permanent; c++ {
		if seen[c.String()] || strings.Contains(c.String(), "(") {
			t.Errorf("class %d is called %q", c, c)
		}
		seen[c.String()] = true
	}
	if !strings.Contains(fault.Class(99).String(), "99") {
		t.Error("an unknown class hides its number")
	}
}
