package azstore_test

import (
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// rotated is a secret in a file, and a clock that decides when it is read again.
type rotated struct {
	t      *testing.T
	path   string
	secret settings.Secret

	mu  sync.Mutex
	now time.Time
}

func newRotated(t *testing.T, first string) *rotated {
	r := &rotated{t: t, path: filepath.Join(t.TempDir(), "secret"), now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	r.write(first)
	secret, err := settings.SecretFile("X_FILE", r.path, settings.Clock(func() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return r.now }))
	if err != nil {
		t.Fatal(err)
	}
	r.secret = secret
	return r
}

// write changes the secret, and lets ten seconds pass.
func (r *rotated) write(secret string) {
	r.t.Helper()
	if err := os.WriteFile(r.path, []byte(secret), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(10 * time.Second)
}

func TestAChangedSignatureIsUsed(t *testing.T) {
	r := newRotated(t, "sv=1&sig=first%3D")
	var mu sync.Mutex
	var got string
	w, _ := fake(t, func(c *azstore.Config) { c.AccountName, c.AccountKey, c.SASToken = "", settings.Secret{}, r.secret },
		func(w http.ResponseWriter, req *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			got = req.URL.Query().Get("sig")
			w.WriteHeader(http.StatusCreated)
		})
	for _, step := range []struct{ secret, want string }{{"sv=1&sig=first%3D", "first="}, {"?sv=1&sig=second%2F", "second/"}, {"", "second/"}} {
		r.write(step.secret)
		if err := put(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if got != step.want {
			t.Errorf("signed %q, want %q", got, step.want)
		}
	}
	r.write("not a signature")
	if err := put(t.Context(), w); !fault.Is(err, fault.Denied, fault.Store) {
		t.Errorf("with no signature: %v", err)
	}
}

func TestAChangedAccountKeyIsUsedAndAnUnusableOneIsNot(t *testing.T) {
	c := realConfig(t, testenv.Need(t, testenv.AzureServiceURL))
	good := c.AccountKey.Get()
	r := newRotated(t, "d3Jvbmcga2V5")
	c.AccountKey = r.secret
	w, _ := open(t, c)
	works := func() bool {
		t.Helper()
		_, err := w.Stat(t.Context(), "recordings/absent"+random())
		if err == nil || fault.StatusOf(err) != http.StatusNotFound && !fault.Is(err, fault.Denied, fault.Store) {
			t.Fatal(err)
		}
		return !fault.Is(err, fault.Denied, fault.Store)
	}
	if works() {
		t.Fatal("a wrong key works")
	}
	r.write(good)
	if !works() {
		t.Error("the changed key is not used")
	}
	r.write("*** not base64 ***")
	if !works() {
		t.Error("the last good key is not used")
	}
	r.write("d3Jvbmcga2V5")
	if works() {
		t.Error("the key that was withdrawn is still used")
	}
}
