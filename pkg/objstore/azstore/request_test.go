package azstore_test

import (
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
)

func TestWhatIsConfiguredIsAskedFor(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	got := map[string]http.Header{}
	w, _ := fake(t, func(c *azstore.Config) {
		c.EncryptionScope, c.AccessTier, c.ImmutabilityDays = "scope-1", "Cool", 10
	}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got[r.URL.Query().Get("comp")] = r.Header
		w.WriteHeader(http.StatusCreated)
	}, azstore.Clock(func() time.Time { return now }))
	body := []byte("x")
	o := objstore.Options{ContentType: "audio/wav", Tags: map[string]string{"a": "1"}}
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
	if _, err := u.Commit(t.Context(), digest.Of(body), o.Tags); err != nil {
		t.Fatal(err)
	}
	little := base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, digest.CRC64(body)))
	created := map[string]string{
		"If-None-Match": "*", "X-Ms-Tags": "a=1", "X-Ms-Meta-Crc64nvme": digest.EncodeCRC64(digest.CRC64(body)), "X-Ms-Blob-Content-Type": "audio/wav",
		"X-Ms-Access-Tier": "Cool", "X-Ms-Encryption-Scope": "scope-1", "X-Ms-Immutability-Policy-Mode": "Locked",
		"X-Ms-Immutability-Policy-Until-Date": "Thu, 03 Dec 2026 10:00:00 GMT",
	}
	for _, c := range []struct {
		call, comp string
		want       map[string]string
	}{
		{"put", "", created},
		{"put", "", map[string]string{"X-Ms-Content-Crc64": little, "X-Ms-Blob-Type": "BlockBlob"}},
		{"commit", "blocklist", created},
		{"part", "block", map[string]string{"X-Ms-Content-Crc64": little, "X-Ms-Encryption-Scope": "scope-1"}},
	} {
		for name, want := range c.want {
			if have := metadataName(got[c.comp], name); have != want {
				t.Errorf("%s: %s is %q, want %q", c.call, name, have, want)
			}
		}
	}
}

// metadataName is Header.Get, whatever the case that the name came in.
func metadataName(h http.Header, name string) string {
	for n, v := range h {
		if strings.EqualFold(n, name) {
			return v[0]
		}
	}
	return ""
}

func TestWhatIsNotConfiguredIsNotAskedFor(t *testing.T) {
	var got http.Header
	w, _ := fake(t, nil, func(w http.ResponseWriter, r *http.Request) { got = r.Header; w.WriteHeader(http.StatusCreated) })
	if _, err := w.Put(t.Context(), "k", nil, digest.Of(nil), objstore.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Ms-Tags", "X-Ms-Access-Tier", "X-Ms-Encryption-Scope", "X-Ms-Immutability-Policy-Mode", "X-Ms-Immutability-Policy-Until-Date"} {
		if v := metadataName(got, name); v != "" {
			t.Errorf("%s: %q", name, v)
		}
	}
}

func TestBlockIDsAreOfOneLengthAndNeverTheSame(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	w, _ := fake(t, nil, func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Query().Get("blockid")
		mu.Lock()
		defer mu.Unlock()
		if raw, err := base64.StdEncoding.DecodeString(id); err != nil || len(raw) != 20 || seen[id] {
			t.Errorf("block %q: %v, seen %v", id, err, seen[id])
		}
		seen[id] = true
		w.WriteHeader(http.StatusCreated)
	})
	for range 2 {
		u, err := w.Create(t.Context(), "k", objstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 2, 1, objstore.MaxParts} {
			if err := u.Part(t.Context(), n, []byte("x"), digest.CRC64([]byte("x"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d blocks", len(seen))
	}
}

func TestAllProbesShareOneBlock(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	w, _ := fake(t, nil, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.URL.Query().Get("blockid")] = true
		w.WriteHeader(http.StatusCreated)
	})
	for range 3 {
		u, err := w.Create(t.Context(), objstore.ProbeKey, objstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Part(t.Context(), 1, []byte("x"), digest.CRC64([]byte("x"))); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 1 {
		t.Errorf("%d blocks, which would lapse a week after the last probe", len(seen))
	}
}
