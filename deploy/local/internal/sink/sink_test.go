package sink_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/local/internal/sink"
)

func ask(t *testing.T, method, url, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestAKeyIsCreatedOnce(t *testing.T) {
	s3, azure := sink.NewS3(), sink.NewAzure()
	for name, c := range map[string]struct {
		handler         http.Handler
		counts          func() map[string]int64
		created, second int
	}{
		"s3":    {s3, s3.Counts, http.StatusOK, http.StatusPreconditionFailed},
		"azure": {azure, azure.Counts, http.StatusCreated, http.StatusConflict},
	} {
		server := httptest.NewServer(c.handler)
		t.Cleanup(server.Close)
		url := server.URL + "/bucket/recordings/" + name
		for i, want := range []int{c.created, c.second} {
			if resp, _ := ask(t, http.MethodPut, url, "bytes"); resp.StatusCode != want {
				t.Errorf("%s: creation %d is answered %s, want %d", name, i+1, resp.Status, want)
			}
		}
		if resp, body := ask(t, http.MethodGet, url+"-absent", ""); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "<Code>") {
			t.Errorf("%s: what is absent is answered %s %s", name, resp.Status, body)
		}
		if got := c.counts(); got[name+" put"] != 2 || got[name+" get"] != 1 || got["media"] != 1 {
			t.Errorf("%s: counted %v", name, got)
		}
	}
}

func TestAChecksumInATrailerIsNamedInTheAnswer(t *testing.T) {
	server := httptest.NewServer(sink.NewS3())
	defer server.Close()
	for _, body := range []string{
		"3\r\nabc\r\n0\r\nx-amz-checksum-crc64nvme:AAAAAAAAAAc=\r\n\r\n",
		strings.Repeat("x", 300_000) + "\r\n0\r\nx-amz-checksum-crc64nvme:AAAAAAAAAAc=\r\n\r\n",
	} {
		resp, _ := ask(t, http.MethodPut, server.URL+"/bucket/recordings/"+strings.Repeat("k", len(body)%100+1), body)
		if got := resp.Header.Get("X-Amz-Checksum-Crc64nvme"); got != "AAAAAAAAAAc=" {
			t.Errorf("a body of %d bytes: %q", len(body), got)
		}
	}
}

func TestAnUploadInPartsIsCreatedByItsCompletion(t *testing.T) {
	server := httptest.NewServer(sink.NewS3())
	defer server.Close()
	url := server.URL + "/bucket/recordings/parts"
	if _, body := ask(t, http.MethodPost, url+"?uploads", ""); !strings.Contains(body, "<UploadId>") {
		t.Errorf("begun with %s", body)
	}
	for _, want := range []int{http.StatusOK, http.StatusPreconditionFailed} {
		if resp, _ := ask(t, http.MethodPost, url+"?uploadId=x", "<x/>"); resp.StatusCode != want {
			t.Errorf("completion is answered %s, want %d", resp.Status, want)
		}
	}
}
