package s3store_test

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/objstore/s3store"
)

func rand10() string { return "-" + rand.Text()[:10] }

func readerOf(s string) io.Reader { return strings.NewReader(s) }

// config is that of a store whose server is answer.
func config(t *testing.T, answer http.HandlerFunc) s3store.Config {
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return s3store.Config{Bucket: "b", Region: "eu-central-1", Endpoint: server.URL, PathStyle: true, SSE: "none"}
}

// open opens a store whose server is answer, with whatever credentials the SDK's chain finds.
func open(t *testing.T, answer http.HandlerFunc, list ...s3store.Option) *s3store.Store {
	t.Helper()
	w, err := s3store.Open(t.Context(), config(t, answer), list...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// fake opens a store whose server is answer.
func fake(t *testing.T, change func(*s3store.Config), answer http.HandlerFunc, list ...s3store.Option) (*s3store.Store, *s3store.Reader) {
	t.Helper()
	identity(t, "access", "secret-of-the-test")
	c := config(t, answer)
	if change != nil {
		change(&c)
	}
	w, err := s3store.Open(t.Context(), c, list...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s3store.OpenReader(t.Context(), c, list...)
	if err != nil {
		t.Fatal(err)
	}
	return w, r
}

// refusal answers like S3.
func refusal(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	if code != "" {
		_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>as the test wants</Message></Error>")
	}
}

// opening answers the calls that come before a commit, and reports whether it did.
func opening(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		_, _ = io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>")
	case r.Method == http.MethodPut && q.Has("partNumber"):
		w.Header().Set("ETag", `"part"`)
	default:
		return false
	}
	return true
}
