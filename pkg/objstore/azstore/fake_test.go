package azstore_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/settings"
)

// fake opens a store whose service is answer.
func fake(t *testing.T, change func(*azstore.Config), answer http.HandlerFunc, list ...azstore.Option) (*azstore.Store, *azstore.Reader) {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c := azstore.Config{ServiceURL: server.URL, Container: "recordings", AccountName: "a", AccountKey: settings.NewSecret("a2V5")}
	if change != nil {
		change(&c)
	}
	w, err := azstore.Open(t.Context(), c, list...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := azstore.OpenReader(t.Context(), c, list...)
	if err != nil {
		t.Fatal(err)
	}
	return w, r
}

// refusal answers like the service.
func refusal(w http.ResponseWriter, status int, code string) {
	if code != "" {
		w.Header().Set("x-ms-error-code", code)
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>The MAC signature 'quoted-signature' is not the same</Message></Error>")
}

// isBlock reports whether r is a Put Block, which comes before a commit.
func isBlock(r *http.Request) bool { return r.URL.Query().Get("comp") == "block" }
