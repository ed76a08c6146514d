package platform_test

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/platform"
	"github.com/twinreel/twinreel/pkg/settings"
)

func TestBadSettingsNameTheirVariableAndNoSecret(t *testing.T) {
	oauth := platform.OAuth{TokenURL: "https://id.example.com/token", ClientID: "c", ClientSecret: settings.NewSecret(secret)}
	for name, c := range map[string]struct {
		config platform.Config
		want   string
	}{
		"no rate":               {platform.Config{Rate: -1}, "TWINREEL_PLATFORM_RATE"},
		"a token without hosts": {platform.Config{Token: settings.NewSecret(secret)}, "TWINREEL_SOURCE_TOKEN_HOSTS"},
		"a host that is a URL":  {platform.Config{TokenHosts: []string{"https://x"}}, "TWINREEL_SOURCE_TOKEN_HOSTS"},
		"a host with a star":    {platform.Config{TokenHosts: []string{"*.example.com"}}, "TWINREEL_SOURCE_TOKEN_HOSTS"},
		"no place for the ID":   {platform.Config{ResolverURL: "https://x/" + secret}, "TWINREEL_RESOLVER_URL"},
		"a host by the ID":      {platform.Config{ResolverURL: "https://{recordingId}.x/"}, "TWINREEL_RESOLVER_URL"},
		"a user in it":          {platform.Config{ResolverURL: "https://u:" + secret + "@x/{recordingId}"}, "TWINREEL_RESOLVER_URL"},
		"no scheme":             {platform.Config{ResolverURL: "x/{recordingId}"}, "TWINREEL_RESOLVER_URL"},
		"plain http":            {platform.Config{ResolverURL: "http://api.example.com/{recordingId}"}, "TWINREEL_RESOLVER_URL"},
		"plain http for tokens": {platform.Config{OAuth: platform.OAuth{TokenURL: "http://10.0.0.1/t", ClientID: "c", ClientSecret: settings.NewSecret(secret)}}, "TWINREEL_OAUTH_TOKEN_URL"},
		"no client ID":          {platform.Config{OAuth: platform.OAuth{TokenURL: oauth.TokenURL, ClientSecret: oauth.ClientSecret}}, "TWINREEL_OAUTH_CLIENT_ID"},
		"no client secret":      {platform.Config{OAuth: platform.OAuth{TokenURL: oauth.TokenURL, ClientID: "c"}}, "TWINREEL_OAUTH_CLIENT_SECRET"},
		"no token URL":          {platform.Config{OAuth: platform.OAuth{ClientID: "c", ClientSecret: oauth.ClientSecret}}, "TWINREEL_OAUTH_CLIENT_ID"},
		"both kinds of token":   {platform.Config{OAuth: oauth, ResolverToken: settings.NewSecret(secret)}, "TWINREEL_RESOLVER_TOKEN"},
		"a proxy of another kind": {
			platform.Config{EgressProxy: "socks5://u:" + secret + "@proxy"}, "TWINREEL_EGRESS_PROXY",
		},
		"no such file": {platform.Config{SourcesFile: "/nonexistent"}, "TWINREEL_SOURCES_FILE"},
	} {
		if c.config.Rate == 0 {
			c.config.Rate = 10
		}
		found := false
		for _, p := range append(c.config.Check(), c.config.Plain()...) {
			found = found || p.Variable == c.want
			if strings.Contains(p.Text, secret) {
				t.Errorf("%s: the problem shows a secret: %s", name, p.Text)
			}
		}
		if !found {
			t.Errorf("%s: no problem of %s: %v", name, c.want, append(c.config.Check(), c.config.Plain()...))
		}
	}
	good := platform.Config{Rate: 10, ResolverURL: "http://127.0.0.1:8080/{recordingId}", OAuth: oauth, TokenHosts: []string{"cdn.example.com:8443"}, EgressProxy: "http://u:p@proxy:3128"}
	if problems := append(good.Check(), good.Plain()...); len(problems) != 0 {
		t.Errorf("problems of good settings: %v", problems)
	}
}

// file returns the path of a file with that content.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestASourceOfTheFileIsAskedAtItsOwnResolverWithItsOwnToken(t *testing.T) {
	own, general := serve(t, mediaURL(fresh)), serve(t, mediaURL(fresh))
	path := file(t, fmt.Sprintf(`
sources:
  - {name: emea, scheme: hub-sha256, secrets: [a], resolver: "%s/api/{recordingId}", token_file: %s, token_hosts: [Media.emea.example]}
  - {name: open, secrets: [a], resolver: "%s/api/open/{recordingId}"}
  - {name: same, secret_files: [/nonexistent]}
`, own.URL, file(t, "emea-"+secret+"\n"), own.URL))
	a := open(t, platform.Config{
		SourcesFile: path, ResolverURL: general.URL + "/api/{source}/{recordingId}", ResolverToken: settings.NewSecret("general-" + secret),
		Token: settings.NewSecret("media-" + secret), TokenHosts: []string{"media.example.com"},
	}, &turns{}, own, general)
	for _, c := range []struct {
		source string
		at     *server
		auth   string
	}{{"emea", own, "Bearer emea-" + secret}, {"open", own, ""}, {"same", general, "Bearer general-" + secret}, {"other", general, "Bearer general-" + secret}} {
		before := len(c.at.requests())
		if _, err := a.Resolve(t.Context(), c.source, "rec-1"); err != nil {
			t.Fatal(err)
		}
		asked := c.at.requests()[before:]
		if len(asked) != 1 || asked[0].Header.Get("Authorization") != c.auth {
			t.Errorf("%s: asked %d times, with %q", c.source, len(asked), asked[0].Header.Get("Authorization"))
		}
	}
	for _, c := range []struct{ source, host, want string }{
		{"emea", "media.emea.example", "emea-" + secret},
		{"emea", "media.example.com", ""},
		{"default", "media.emea.example", ""},
		{"open", "media.example.com", "media-" + secret},
		{"default", "media.example.com", "media-" + secret},
	} {
		key, ok := a.Key(c.source, &url.URL{Scheme: "https", Host: c.host})
		token := ""
		if ok {
			token, _ = key.Token(t.Context())
		}
		if token != c.want {
			t.Errorf("%s at %s: %q, want %q", c.source, c.host, token, c.want)
		}
	}
}

func TestAProblemOfTheFileNamesSourceAndFieldAndNoSecret(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"not YAML":           {"sources: [" + secret, "sources.example.yaml"},
		"another field":      {"sources: [{name: emea, tokne: " + secret + "}]", "sources.example.yaml"},
		"another type":       {"sources: [{name: emea, token: [" + secret + "]}]", "sources.example.yaml"},
		"a name":             {"sources: [{name: UPPER}]", "field name"},
		"a resolver":         {"sources: [{name: emea, resolver: 'https://x/" + secret + "'}]", "source 1 (emea), field resolver"},
		"a plain resolver":   {"sources: [{name: emea, resolver: 'http://x/{recordingId}'}]", "source emea, field resolver"},
		"token and file":     {"sources: [{name: emea, token: " + secret + ", token_file: /x}]", "field token"},
		"a missing file":     {"sources: [{name: a}, {name: emea, token_file: /nonexistent}]", "source 2 (emea), field token_file"},
		"a file that's long": {"sources: [] # " + strings.Repeat("x", 1<<20), "longer"},
	} {
		config := platform.Config{Rate: 10, SourcesFile: file(t, c.content)}
		var errs []error
		for _, p := range append(config.Check(), config.Plain()...) {
			errs = append(errs, errors.New(p.Variable+": "+p.Text))
		}
		text := fmt.Sprint(errors.Join(errs...))
		if !strings.Contains(text, c.want) || !strings.Contains(text, "TWINREEL_SOURCES_FILE") || strings.Contains(text, secret) {
			t.Errorf("%s: %s", name, text)
		}
	}
}
