package s3store_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
)

func TestWhatIsConfiguredIsAskedFor(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	got := map[string]http.Header{}
	w, _ := fake(t, func(c *s3store.Config) {
		c.SSE, c.KMSKeyID, c.ObjectLockMode, c.ObjectLockDays = "aws:kms", "key-1", "COMPLIANCE", 10
	}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch q := r.URL.Query(); {
		case q.Has("uploads"):
			got["create"] = r.Header
		case q.Has("partNumber"):
			got["part"] = r.Header
		case q.Has("uploadId"):
			got["commit"] = r.Header
		default:
			got["put"] = r.Header
		}
		if !opening(w, r) && r.Method == http.MethodPost {
			_, _ = io.WriteString(w, "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")
		}
	}, s3store.Clock(func() time.Time { return now }))
	body := []byte("x")
	o := objstore.Options{ContentType: "audio/wav", Tags: map[string]string{"b": "2 +", "a": "1"}}
	if _, err := w.Put(t.Context(), "k", body, digest.Of(body), o); err != nil {
		t.Fatal(err)
	}
	u, err := w.Create(t.Context(), "k", o)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Part(t.Context(), 1, body, digest.CRC64(body)); err != nil {
		t.Fatal(err)
	}
	info, err := u.Commit(t.Context(), digest.Of(body), o.Tags)
	if err != nil || info.HasCRC64 {
		t.Errorf("without a checksum in the answer: %+v %v", info, err)
	}
	crc := digest.EncodeCRC64(digest.CRC64(body))
	asks := map[string]string{
		"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "key-1", "Content-Type": "audio/wav",
		"X-Amz-Object-Lock-Mode": "COMPLIANCE", "X-Amz-Object-Lock-Retain-Until-Date": "2026-12-03T10:00:00Z", "X-Amz-Tagging": "a=1&b=2+%2B",
	}
	for _, c := range []struct {
		call string
		want map[string]string
	}{
		{"put", asks},
		{"put", map[string]string{"If-None-Match": "*", "X-Amz-Checksum-Crc64nvme": crc, "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}},
		{"create", asks},
		{"create", map[string]string{"X-Amz-Checksum-Algorithm": "CRC64NVME", "X-Amz-Checksum-Type": "FULL_OBJECT"}},
		{"part", map[string]string{"X-Amz-Checksum-Crc64nvme": crc, "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD", "X-Amz-Trailer": ""}},
		{"commit", map[string]string{"If-None-Match": "*", "X-Amz-Checksum-Crc64nvme": crc, "X-Amz-Checksum-Type": "FULL_OBJECT", "X-Amz-Mp-Object-Size": "1"}},
	} {
		for name, want := range c.want {
			if have := got[c.call].Get(name); have != want {
				t.Errorf("%s: %s is %q, want %q", c.call, name, have, want)
			}
		}
	}
}

func TestWhatIsNotConfiguredIsNotAskedFor(t *testing.T) {
	var got http.Header
	w, _ := fake(t, nil, func(_ http.ResponseWriter, r *http.Request) { got = r.Header })
	if _, err := w.Put(t.Context(), "k", nil, digest.Of(nil), objstore.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Amz-Server-Side-Encryption", "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date", "X-Amz-Tagging"} {
		if v, there := got[name]; there {
			t.Errorf("%s: %q", name, v)
		}
	}
}
