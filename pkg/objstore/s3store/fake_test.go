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

// fake opens a store whose server is answer.
func fake(t *testing.T, change func(*s3store.Config), answer http.HandlerFunc, list ...s3store.Option) (*s3store.Store, *s3store.Reader) {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	identity(t, "access", "secret-of-the-test")
	c := s3store.Config{Bucket: "b", Region: "eu-central-1", Endpoint: server.URL, PathStyle: true, SSE: "none"}
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
