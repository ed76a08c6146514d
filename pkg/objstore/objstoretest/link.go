package objstoretest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// linkTo makes a link, or checks that none can be made.
func (f fixture) linkTo(t *testing.T, key string, ttl time.Duration) (l objstore.Link, ok bool) {
	t.Helper()
	l, err := f.Reader.Link(f.ctx, key, ttl)
	if f.NoLinks {
		if l.URL != "" || !errors.Is(err, objstore.ErrCannotLink) || !fault.Is(err, fault.Denied, fault.Store) {
			t.Errorf("a link by an identity that cannot sign: %v (%v)", err, fault.ClassOf(err))
		}
		return l, false
	}
	must(t, err)
	return l, true
}

// ask sends a request to a link as anybody would: without credentials.
func (f fixture) ask(t *testing.T, method, link, span string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(f.ctx, method, link, bytes.NewReader(body))
	must(t, err)
	if span != "" {
		req.Header.Set("Range", span)
	}
	if method == http.MethodPut {
		req.Header.Set("X-Ms-Blob-Type", "BlockBlob") // Azure would ask for it
	}
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	got, err := io.ReadAll(resp.Body)
	must(t, errors.Join(err, resp.Body.Close()))
	return resp.StatusCode, got
}

func link(t *testing.T, f fixture) {
	key, body := f.media("linked"), random(1000)
	f.put(t, key, body)
	f.put(t, f.media("beside"), random(10))
	l, ok := f.linkTo(t, key, time.Minute)
	if !ok {
		return
	}
	if left := time.Until(l.ExpiresAt); left <= 0 || left > time.Minute {
		t.Errorf("a link for a minute has %v left", left)
	}
	if status, got := f.ask(t, http.MethodGet, l.URL, "", nil); status != http.StatusOK || !bytes.Equal(got, body) {
		t.Errorf("GET: %d, %d bytes", status, len(got))
	}
	if status, got := f.ask(t, http.MethodGet, l.URL, "bytes=10-19", nil); status != http.StatusPartialContent || !bytes.Equal(got, body[10:20]) {
		t.Errorf("GET of a range: %d, %d bytes", status, len(got))
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		if status, _ := f.ask(t, method, l.URL, "", []byte("other")); status < http.StatusBadRequest {
			t.Errorf("%s: %d", method, status)
		}
	}
	if status, _ := f.ask(t, http.MethodGet, strings.Replace(l.URL, "linked", "beside", 1), "", nil); status != http.StatusForbidden {
		t.Errorf("another object by the same link: %d", status)
	}
	u, err := url.Parse(l.URL)
	must(t, err)
	u.RawQuery = ""
	if status, _ := f.ask(t, http.MethodGet, u.String(), "", nil); status < http.StatusBadRequest {
		t.Errorf("without the signature: %d", status)
	}
	f.holds(t, key, body)
}

func linkToAbsent(t *testing.T, f fixture) {
	l, ok := f.linkTo(t, f.media("absent"), time.Minute)
	if !ok {
		return
	}
	if status, _ := f.ask(t, http.MethodGet, l.URL, "", nil); status != http.StatusNotFound {
		t.Errorf("GET: %d", status)
	}
}

func linkLife(t *testing.T, f fixture) {
	key := f.media("brief")
	f.put(t, key, random(10))
	for _, ttl := range []time.Duration{-time.Minute, 0, time.Second - 1} {
		_, err := f.Reader.Link(f.ctx, key, ttl)
		refused(t, err, fault.Permanent)
	}
	long, ok := f.linkTo(t, key, 24*time.Hour)
	if !ok {
		return
	}
	if left := time.Until(long.ExpiresAt); left > objstore.MaxLink {
		t.Errorf("a link lives for %v", left)
	}
	brief, _ := f.linkTo(t, key, time.Second)
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(100 * time.Millisecond) {
		if status, _ := f.ask(t, http.MethodGet, brief.URL, "", nil); status == http.StatusForbidden {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a link of one second is still good")
		}
	}
}
