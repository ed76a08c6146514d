package mediasource_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
)

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func containsText(err error, text string) bool { return strings.Contains(err.Error(), text) }

// bounds returns the range that is asked for, cut off at the end of body.
func bounds(r *http.Request, body []byte) (first, last int) {
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err != nil {
		return 0, len(body) - 1
	}
	return first, min(last, len(body)-1)
}

// partial answers a request for a range by a 206 that says span and brings n bytes of it.
func partial(w http.ResponseWriter, body []byte, etag, span string, from, n int) {
	w.Header().Set("ETag", etag)
	w.Header().Set("Content-Range", span)
	w.WriteHeader(http.StatusPartialContent)
	w.Write(body[from : from+n])
}

// crumbs gives one byte for each range.
func crumbs(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		first, _ := bounds(r, body)
		partial(w, body, `"v1"`, fmt.Sprintf("bytes %d-%d/%d", first, first, len(body)), first, 1)
	}
}

// short says that it gives the whole range, and gives n bytes.
func short(n int, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		first, last := bounds(r, body)
		partial(w, body, `"v1"`, fmt.Sprintf("bytes %d-%d/%d", first, last, len(body)), first, n)
	}
}

// spoiled are answers to a request for the bytes 2000 to 2999 of 5000 that must not be taken.
type spoiled struct {
	then  http.HandlerFunc
	class fault.Class
	text  string
}

func spoilt(body []byte) map[string]spoiled {
	other := append(slices.Clone(body[:len(body)-1]), 'x')
	says := func(etag, span string, n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { partial(w, body, etag, span, 2*part, n) }
	}
	packed := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		file(body, `"v1"`)(w, r)
	}
	return map[string]spoiled{
		"another version":      {file(other, `"v2"`), fault.Transient, "start again"},
		"ranges no longer":     {func(w http.ResponseWriter, _ *http.Request) { w.Write(body) }, fault.Transient, "start again"},
		"206 of another ETag":  {says(`"v2"`, "bytes 2000-2999/5000", part), fault.Transient, "changed"},
		"206 of a weak ETag":   {says(`W/"v1"`, "bytes 2000-2999/5000", part), fault.Transient, "changed"},
		"206 without ETag":     {says("", "bytes 2000-2999/5000", part), fault.Transient, "changed"},
		"another place":        {says(`"v1"`, "bytes 1000-1999/5000", part), fault.Transient, "another range"},
		"more than asked for":  {says(`"v1"`, "bytes 2000-3999/5000", 2*part), fault.Transient, "another range"},
		"no place":             {says(`"v1"`, "", part), fault.Transient, "Content-Range"},
		"nonsense":             {says(`"v1"`, "bytes 2000-/5000", part), fault.Transient, "Content-Range"},
		"another total":        {says(`"v1"`, "bytes 2000-2999/6000", part), fault.Corrupt, "promised"},
		"another length":       {says(`"v1"`, "bytes 2000-2999/5000", 10), fault.Transient, "another length"},
		"longer than it says":  {unmeasured(short(part+1, body)), fault.Transient, "more than it says"},
		"shorter than it says": {unmeasured(inTurn(short(part-1, body), short(0, body))), fault.Corrupt, "early"},
		"compressed":           {packed, fault.Corrupt, "compressed"},
		"shorter by now":       {status(http.StatusRequestedRangeNotSatisfiable), fault.Transient, "416"},
		"the link has expired": {status(http.StatusForbidden), fault.SourceGone, "403"},
		"a sick host":          {status(http.StatusBadGateway), fault.Unavailable, "502"},
	}
}

func TestNoFillTakesWhatIsNotItsRange(t *testing.T) {
	body := wav(5 * part)
	for name, c := range spoilt(body) {
		t.Run(name, func(t *testing.T) {
			o := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if first, _ := bounds(r, body); first >= 2*part && first < 3*part {
					c.then(w, r)
					return
				}
				file(body, `"v1"`)(w, r)
			})
			_, err := fillAll(t.Context(), open(t, source(t, config()), o.promised(len(body))))
			if harmless(t, err) == nil || fault.ClassOf(err) != c.class || !containsText(err, c.text) {
				t.Errorf("%v, want %s: %s", err, c.class, c.text)
			}
		})
	}
}

func TestARedirectOfOneRangeToAPrivateAddressIsRefused(t *testing.T) {
	body := wav(5 * part)
	c := config()
	c.AllowedCIDRs = []string{"127.0.0.1/32"}
	for _, host := range []string{"127.0.0.2", "[::1]", "169.254.169.254", "10.0.0.1"} {
		o := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "bytes=2000-2999" {
				http.Redirect(w, r, "http://"+host+"/m/?sig="+secret, http.StatusFound)
				return
			}
			file(body, `"v1"`)(w, r)
		})
		_, err := fillAll(t.Context(), open(t, source(t, c), o.promised(len(body))))
		if harmless(t, err) == nil || fault.ClassOf(err) != fault.Permanent || !containsText(err, "TWINREEL_SOURCE_ALLOWED_CIDRS") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestEachRangeThatBreaksIsGoneOnWithByItself cuts the first answer to every range somewhere else, the first range's too.
func TestEachRangeThatBreaksIsGoneOnWithByItself(t *testing.T) {
	body := wav(8 * part)
	var seen sync.Map
	o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		first, _ := bounds(r, body)
		if _, again := seen.LoadOrStore(first/part, true); again {
			file(body, `"v1"`)(w, r)
			return
		}
		cut(100+first/part*101, file(body, `"v1"`))(w, r)
	})
	m := open(t, source(t, config()), o.promised(len(body)))
	wantFilled(t, m, body)
	var want []string
	for i := range 8 {
		last := (i+1)*part - 1
		want = append(want, fmt.Sprintf("bytes=%d-%d", i*part, last))
		want = append(want, fmt.Sprintf("bytes=%d-%d", i*part+100+i*101, last))
	}
	slices.Sort(want)
	if got := asked(o); !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

func TestEachRangeStallsByItself(t *testing.T) {
	body := wav(5 * part)
	c := config()
	c.StallTimeout = 300 * time.Millisecond
	o := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Range") {
		case "bytes=1000-1999":
			<-r.Context().Done()
		case "bytes=2000-2999":
			w.Header().Set("Content-Length", "1000")
			drip := func() {
				w.(http.Flusher).Flush()
				<-time.After(c.StallTimeout / 6)
			}
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Content-Range", "bytes 2000-2999/5000")
			w.WriteHeader(http.StatusPartialContent)
			for i := range 10 {
				w.Write(body[2000+100*i : 2100+100*i])
				drip()
			}
		default:
			file(body, `"v1"`)(w, r)
		}
	})
	m := open(t, source(t, c), o.promised(len(body)))
	stalled := make(chan error, 1)
	go func() { stalled <- m.Fill(t.Context(), part, make([]byte, part)) }()
	b := make([]byte, part)
	if err := m.Fill(t.Context(), 2*part, b); err != nil || string(b) != string(body[2*part:3*part]) {
		t.Errorf("the dripping range: %v", err)
	}
	if err := <-stalled; harmless(t, err) == nil || !containsText(err, "TWINREEL_SOURCE_STALL_TIMEOUT") {
		t.Errorf("the stalled range: %v", err)
	}
	if _, err := io.CopyN(io.Discard, m, part); err != nil {
		t.Errorf("reading beside it: %v", err)
	}
}
