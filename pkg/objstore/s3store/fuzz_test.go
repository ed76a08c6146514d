package s3store

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// However a body comes and is read, the server reads back the same, in the length that was announced.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("0123456789"), 3, 4)
	f.Add(bytes.Repeat([]byte("x"), 70), 1, 1)
	f.Add([]byte("a"), 0, 100)
	f.Fuzz(func(t *testing.T, seed []byte, repeat, by int) {
		body := bytes.Repeat(seed, 1+max(0, repeat)%4096)
		if len(body) == 0 || len(body) > 4*chunkSize {
			return
		}
		from := io.MultiReader(bytes.NewReader(body), strings.NewReader(ending(7)))
		c := &chunked{from: from, left: int64(len(body))}
		p := make([]byte, 1+max(0, by)%(2*chunkSize))
		var got bytes.Buffer
		if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{c}, p); err != nil {
			t.Fatal(err)
		}
		if int64(got.Len()) != encodedLength(int64(len(body))) {
			t.Fatalf("%d bytes are encoded in %d, %d were announced", len(body), got.Len(), encodedLength(int64(len(body))))
		}
		back, err := io.ReadAll(httputil.NewChunkedReader(&got))
		if err != nil || !bytes.Equal(back, body) {
			t.Fatalf("%d bytes are read back as %d: %v", len(body), len(back), err)
		}
	})
}

// Whatever a store answers, it has a class, and never one that would give a recording up at once.
func FuzzAnswerClass(f *testing.F) {
	for _, code := range []string{"SlowDown", "KMS.ThrottlingException", "KMS.DisabledException", "AccessDenied", "NoSuchBucket", "InvalidRequest", "BadDigest", ""} {
		for _, status := range []int{0, 200, 301, 400, 403, 404, 409, 412, 429, 500, 503, 999} {
			f.Add(status, code, "5")
		}
	}
	f.Fuzz(func(t *testing.T, status int, code, after string) {
		class := answer{status: status, code: code}.class()
		if class == fault.Conflict || class == fault.SourceGone {
			t.Fatalf("%d %q is %s", status, code, class)
		}
		if status == http.StatusTooManyRequests && code == "" && class != fault.Throttled {
			t.Fatalf("429 is %s", class)
		}
		if d := objstore.RetryAfter(http.Header{"Retry-After": {after}}, time.Unix(1e9, 0)); d < 0 {
			t.Fatalf("%q is %s", after, d)
		}
	})
}
