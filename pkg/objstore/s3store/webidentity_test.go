package s3store_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
)

// role is a token service that gives keys to whoever shows the right token, a file of the token, and who signed last.
type role struct {
	t     *testing.T
	token string // the file
	store *s3store.Store

	mu       sync.Mutex
	keys     map[string]string // token to access key
	life     time.Duration     // of the keys
	signer   string
	offset   time.Duration // of the store's clock
	warnings int
}

func newRole(t *testing.T) *role {
	r := &role{t: t, token: filepath.Join(t.TempDir(), "token"), keys: map[string]string{"one": "first"}, life: 30 * time.Second}
	r.write("one")
	service := httptest.NewServer(http.HandlerFunc(r.assume))
	t.Cleanup(service.Close)
	for name, value := range map[string]string{
		"AWS_WEB_IDENTITY_TOKEN_FILE": r.token, "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/worker", "AWS_ENDPOINT_URL_STS": service.URL,
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(t.TempDir(), "none"), "AWS_CONFIG_FILE": filepath.Join(t.TempDir(), "none"),
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
	} {
		t.Setenv(name, value)
	}
	clock := func() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return time.Now().Add(r.offset) }
	warn := func(string) { r.mu.Lock(); defer r.mu.Unlock(); r.warnings++ }
	r.store = open(t, func(_ http.ResponseWriter, req *http.Request) {
		_, rest, _ := strings.Cut(req.Header.Get("Authorization"), "Credential=")
		r.mu.Lock()
		defer r.mu.Unlock()
		r.signer, _, _ = strings.Cut(rest, "/")
	}, s3store.Clock(clock), s3store.OnWarning(warn))
	return r
}

// assume answers AssumeRoleWithWebIdentity.
func (r *role) assume(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := r.keys[req.FormValue("WebIdentityToken")]
	if key == "" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprint(w, `<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>`)
		return
	}
	_, _ = fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>%s</AccessKeyId>`+
		`<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials>`+
		`</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, key, time.Now().Add(r.life).UTC().Format(time.RFC3339))
}

func (r *role) write(token string) {
	r.t.Helper()
	if err := os.WriteFile(r.token, []byte(token), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *role) signs(want string) {
	r.t.Helper()
	if err := put(r.t.Context(), r.store); err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.signer != want {
		r.t.Errorf("signed by %q, want %q", r.signer, want)
	}
}

func (r *role) accepts(token, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = map[string]string{token: key}
}

// given keys that are about to expire, when the token was changed meanwhile, then the new one gets the next keys.
func TestARoleIsAssumedAnewWithTheTokenAsItIsThen(t *testing.T) {
	r := newRole(t)
	r.signs("first")
	r.accepts("two", "second")
	r.write("two")
	r.signs("second")
}

// given keys that are about to expire, when no new ones can be had, then they are used as long as they are good for, and
// that is warned about once.
func TestARoleThatIsRefusedLeavesTheLastKeysUntilTheyExpire(t *testing.T) {
	r := newRole(t)
	r.signs("first")
	for _, spoil := range []func(){
		func() { r.write("") },
		func() { _ = os.Remove(r.token) },
		func() { r.write("unknown") },
	} {
		spoil()
		r.signs("first")
	}
	if r.warnings != 1 {
		t.Errorf("warned %d times", r.warnings)
	}
	r.mu.Lock()
	r.offset = 2 * time.Minute
	r.mu.Unlock()
	if err := put(t.Context(), r.store); !fault.Is(err, fault.Denied, fault.Store) {
		t.Errorf("with keys that have expired: %v", err)
	}
}
