package feed_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/twinreel/twinreel/deploy/local/internal/feed"
)

func get(t *testing.T, url, byteRange string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func TestMediaAreTheSameWholeAndByRanges(t *testing.T) {
	f := feed.New()
	server := httptest.NewServer(f)
	defer server.Close()
	const size = 9<<20 + 17 // more than twice what is kept
	url := server.URL + feed.Link(size, "one")
	resp, whole := get(t, url, "")
	if resp.StatusCode != http.StatusOK || len(whole) != size || !bytes.HasPrefix(whole, []byte("RIFF")) || resp.Header.Get("ETag") == "" {
		t.Fatalf("%s, %d bytes, ETag %q", resp.Status, len(whole), resp.Header.Get("ETag"))
	}
	for _, r := range [][2]int{{0, 99}, {4<<20 - 5, 4<<20 + 5}, {8 << 20, size - 1}, {size - 1, size - 1}} {
		resp, part := get(t, url, fmt.Sprintf("bytes=%d-%d", r[0], r[1]))
		if resp.StatusCode != http.StatusPartialContent || !bytes.Equal(part, whole[r[0]:r[1]+1]) {
			t.Errorf("bytes %d to %d: %s, %d others", r[0], r[1], resp.Status, len(part))
		}
	}
	if n := f.Counts()["source"]; n != 5 {
		t.Errorf("%d requests are counted, want 5", n)
	}
	if resp, _ := get(t, server.URL+"/other", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another path: %s", resp.Status)
	}
}
