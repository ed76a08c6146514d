package s3store_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/objstore/s3store"
)

// shared is a shared credentials file in use, a clock, and what became of them.
type shared struct {
	t        *testing.T
	path     string
	store    *s3store.Store
	mu       sync.Mutex
	now      time.Time
	signer   string
	warnings []string
}

func newShared(t *testing.T) *shared {
	s := &shared{t: t, path: filepath.Join(t.TempDir(), "credentials"), now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)}
	s.write("first")
	clock := func() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.now }
	warn := func(text string) { s.mu.Lock(); defer s.mu.Unlock(); s.warnings = append(s.warnings, text) }
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", s.path)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	server := func(_ http.ResponseWriter, r *http.Request) {
		_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		s.mu.Lock()
		defer s.mu.Unlock()
		s.signer, _, _ = strings.Cut(rest, "/")
	}
	s.store = open(t, server, s3store.Clock(clock), s3store.OnWarning(warn))
	return s
}

// write puts the keys of access into the file.
func (s *shared) write(access string) {
	s.put("[default]\naws_access_key_id = " + access + "\naws_secret_access_key = secret-of-" + access + "\n")
}

func (s *shared) put(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// signs checks who signs a request made later by that time.
func (s *shared) signs(later time.Duration, want string) {
	s.t.Helper()
	s.mu.Lock()
	s.now = s.now.Add(later)
	s.mu.Unlock()
	if err := put(s.t.Context(), s.store); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signer != want {
		s.t.Errorf("signed by %q, want %q", s.signer, want)
	}
}

func TestAChangedCredentialsFileIsReadAgain(t *testing.T) {
	s := newShared(t)
	s.signs(0, "first")
	s.write("second-key")
	s.signs(10*time.Second, "second-key")
	s.write("third")
	s.signs(10*time.Second, "third")
	if len(s.warnings) != 0 {
		t.Errorf("warned: %v", s.warnings)
	}
}

func TestAnUnusableCredentialsFileKeepsTheLastGoodOnes(t *testing.T) {
	s := newShared(t)
	s.signs(0, "first")
	for name, spoil := range map[string]func(){
		"emptied":      func() { s.put("") },
		"without keys": func() { s.put("[default]\nregion = nowhere\n") },
		"removed":      func() { _ = os.Remove(s.path) },
	} {
		s.warnings = nil
		spoil()
		s.signs(10*time.Second, "first")
		s.signs(10*time.Second, "first")
		if len(s.warnings) > 1 || strings.Contains(strings.Join(s.warnings, ""), "secret-of") {
			t.Errorf("%s: warned %q", name, s.warnings)
		}
	}
	s.write("mended")
	s.signs(10*time.Second, "mended")
}

func TestAnUnusableCredentialsFileIsWarnedAboutOnce(t *testing.T) {
	s := newShared(t)
	s.put("")
	s.signs(10*time.Second, "first")
	s.signs(10*time.Second, "first")
	if len(s.warnings) != 1 || !strings.Contains(s.warnings[0], s.path) {
		t.Errorf("warned %q", s.warnings)
	}
}
