package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
)

// Where Azure's identities get their tokens, and the tenant of the test.
const (
	loginHost = "login.microsoftonline.com"
	tenant    = "ab1f708d-50f6-404c-a006-d71b2ac7a606"
)

// login stands for Microsoft Entra ID: it gives access tokens to whoever shows the federated token.
type login struct {
	mu      sync.Mutex
	away    bool
	given   int
	asserts []string
}

// ServeHTTP answers instance discovery, OpenID configuration, and requests for tokens.
func (l *login) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	root := "https://" + loginHost + "/" + tenant
	switch {
	case strings.Contains(r.URL.Path, "/discovery/instance"):
		answer(w, map[string]any{"tenant_discovery_endpoint": root + "/v2.0/.well-known/openid-configuration", "metadata": []any{
			map[string]any{"preferred_network": loginHost, "preferred_cache": "login.windows.net", "aliases": []string{loginHost, "login.windows.net", "sts.windows.net"}},
		}})
	case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
		answer(w, map[string]any{"issuer": root + "/v2.0", "authorization_endpoint": root + "/oauth2/v2.0/authorize", "token_endpoint": root + "/oauth2/v2.0/token"})
	case strings.HasSuffix(r.URL.Path, "/token"):
		l.token(w, r)
	default:
		http.NotFound(w, r)
	}
}

func answer(w http.ResponseWriter, body any) { _ = json.NewEncoder(w).Encode(body) }

// token gives one that is asked for anew some seconds later: clients begin five minutes before its end.
func (l *login) token(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away {
		w.WriteHeader(http.StatusServiceUnavailable)
		answer(w, map[string]any{"error": "temporarily_unavailable"})
		return
	}
	l.given++
	l.asserts = append(l.asserts, r.FormValue("client_assertion"))
	const life = 308 * time.Second
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/" + tenant + "/", "iat": now.Unix(), "nbf": now.Unix() - 60, "exp": now.Add(life).Unix(), "tid": tenant,
	})
	if err != nil {
		panic(err) // a map of texts and numbers always marshals
	}
	part := base64.RawURLEncoding.EncodeToString
	answer(w, map[string]any{
		"token_type": "Bearer", "expires_in": int(life.Seconds()), "access_token": part([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part(claims) + "." + part([]byte("unchecked")),
	})
}

func (l *login) setAway(away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = away
}

// serveLogin runs it behind a proxy that leads nowhere else, and returns the proxy's address.
func (b *bed) serveLogin(l *login) string {
	b.t.Helper()
	pair, err := b.stack.Authority.Issue("login", loginHost)
	b.must(err)
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	b.must(err)
	inner, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	b.must(err)
	outer, err := net.Listen("tcp", "127.0.0.1:0")
	b.must(err)
	service := &http.Server{Handler: l}
	proxy := &http.Server{Handler: tunnel(inner.Addr().String())}
	go func() { _ = service.Serve(inner) }()
	go func() { _ = proxy.Serve(outer) }()
	b.t.Cleanup(func() { _ = proxy.Close(); _ = service.Close() })
	return "http://" + outer.Addr().String()
}

// tunnel is a proxy's CONNECT to the login host, which is at addr.
func tunnel(addr string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != loginHost+":443" {
			http.Error(w, "not here", http.StatusForbidden)
			return
		}
		there, err := net.Dial("tcp", addr)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = there.Close()
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
		go func() { _, _ = io.Copy(here, there); _ = here.Close() }()
	}
}

// given a worker whose access to Azure comes by a workload's identity, when its access tokens are renewed all the time, and
// where they come from is away for a while, then every recording is stored.
func TestTheTokensOfAnAzureWorkloadIdentityAreRenewedUnderLoad(t *testing.T) {
	t.Parallel()
	v := newVault(t, 65)
	again := func(tokens bool) {
		t.Helper()
		v.must(v.stack.AzureByTokens(tokens))
		v.must(v.stack.Azure.Stop())
		v.must(v.stack.Azure.Start(t.Context()))
	}
	again(true)
	l := &login{}
	v.put("token", "the federated token")
	v.start(map[string]map[string]string{fleet.WorkerBackup: {
		"TWINREEL_AZURE_SAS_TOKEN_FILE": "", "TWINREEL_AZURE_SERVICE_URL": v.stack.AzureAccess.ServiceURL, "AZURE_TENANT_ID": tenant,
		"AZURE_CLIENT_ID": "f997392c-e15a-4ad8-af9e-cd6966caba7f", "AZURE_FEDERATED_TOKEN_FILE": v.file("token"), "HTTPS_PROXY": v.serveLogin(l),
		"SSL_CERT_FILE": v.stack.Authority.CA,
	}})
	stop := v.load()
	v.eventually(time.Minute, "the access token is renewed", func(context.Context) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.given < 2 {
			return fmt.Errorf("%d tokens were given", l.given)
		}
		return nil
	})
	l.setAway(true)
	v.pause(35 * time.Second) // clients try twice a minute
	l.setAway(false)
	n := stop()
	v.settle()
	for _, a := range l.asserts {
		if a != "the federated token" {
			t.Errorf("a token was asked for with %q", a)
		}
	}
	v.well()
	again(false) // the independent reader comes without TLS
	v.sound(n)
	v.noLetters()
}
