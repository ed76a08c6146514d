package platform_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// resolverOf is where the recording's fresh link is asked for.
func resolverOf(p *platform.Platform, source, id string) string {
	return strings.NewReplacer("{source}", source, "{recordingId}", id).Replace(p.ResolverURL())
}

func TestTheResolverGivesAFreshLinkOnceTheRecordingIsTranscoded(t *testing.T) {
	p := start(t, platform.Config{APIToken: "token", Sources: map[string]platform.Signing{"emea": {Secret: secret}}})
	rec := add(t, p, platform.Spec{ID: "r1", Source: "emea", Size: 1000, LinkTTL: -time.Hour, Transcoding: 2})
	where := resolverOf(p, "emea", "r1")
	if got := ask(t.Context(), t, http.MethodGet, where); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token: %d", got.StatusCode)
	}
	for range 2 {
		if got := ask(t.Context(), t, http.MethodGet, where, "Authorization", "Bearer token"); got.StatusCode != http.StatusAccepted {
			t.Errorf("while it is transcoded: %d", got.StatusCode)
		}
	}
	resp := ask(t.Context(), t, http.MethodGet, where, "Authorization", "Bearer token")
	var answer struct{ MediaURL string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	media := ask(t.Context(), t, http.MethodGet, answer.MediaURL)
	b, err := io.ReadAll(media.Body)
	if err != nil || media.StatusCode != http.StatusOK || len(b) != 1000 {
		t.Errorf("the fresh link: %d, %d bytes, %v", media.StatusCode, len(b), err)
	}
	if links := rec.Links(); len(links) != 2 || links[0] != rec.MediaURL() || links[1] != answer.MediaURL {
		t.Errorf("links given out: %q", links)
	}
	c := rec.Counts()
	if c.Asked != 3 {
		t.Errorf("asked %d times", c.Asked)
	}
	if got := ask(t.Context(), t, http.MethodGet, resolverOf(p, "default", "r1"), "Authorization", "Bearer token"); got.StatusCode != http.StatusNotFound {
		t.Errorf("another source's: %d", got.StatusCode)
	}
}
