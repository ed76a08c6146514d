package settings_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/settings"
)

// rotating is a secret in a file, a clock that the test moves, and the warnings so far.
type rotating struct {
	t        *testing.T
	path     string
	now      time.Time
	warnings []string
	settings.Secret
}

func newRotating(t *testing.T, content string) *rotating {
	t.Helper()
	r := &rotating{t: t, path: filepath.Join(t.TempDir(), "secret"), now: time.Unix(1_800_000_000, 0)}
	r.write(content)
	var c struct {
		S settings.Secret `env:"T_S" meaning:"a secret"`
	}
	err := settings.Load(&c, lookup(map[string]string{"T_S_FILE": r.path}), settings.Clock(func() time.Time { return r.now }),
		settings.OnWarning(func(variable, text string) { r.warnings = append(r.warnings, variable+": "+text) }))
	if err != nil {
		t.Fatal(err)
	}
	r.Secret = c.S
	return r
}

func (r *rotating) write(content string) {
	r.t.Helper()
	if err := os.WriteFile(r.path, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rotating) after(d time.Duration) string {
	r.now = r.now.Add(d)
	return r.Get()
}

func TestAChangedFileIsReadAgainWithinSeconds(t *testing.T) {
	r := newRotating(t, "one\n")
	copied := r.Secret
	r.write("two\r\n")
	if got := r.after(time.Second); got != "one" {
		t.Errorf("within the cache's time: got %q, want the cached value", got)
	}
	if got := r.after(2 * time.Second); got != "two" {
		t.Errorf("got %q, want the new value", got)
	}
	if got := copied.Get(); got != "two" {
		t.Errorf("a copy says %q", got)
	}
	if len(r.warnings) > 0 {
		t.Errorf("warned: %q", r.warnings)
	}
}

func TestAnEmptiedOrMissingFileKeepsTheLastGoodValueAndWarnsOncePerChange(t *testing.T) {
	r := newRotating(t, "good")
	r.write(" \n")
	for range 3 {
		if got := r.after(3 * time.Second); got != "good" {
			t.Fatalf("emptied: got %q", got)
		}
	}
	if len(r.warnings) != 1 || !strings.Contains(r.warnings[0], "is empty; the last good value stays in use") {
		t.Errorf("warnings: %q", r.warnings)
	}
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := r.after(3 * time.Second); got != "good" {
			t.Fatalf("removed: got %q", got)
		}
	}
	if len(r.warnings) != 2 || !strings.HasPrefix(r.warnings[1], "T_S_FILE: ") {
		t.Errorf("warnings: %q", r.warnings)
	}
	r.write("better")
	if got := r.after(3 * time.Second); got != "better" {
		t.Errorf("mended: got %q", got)
	}
	r.write("")
	if r.after(3 * time.Second); len(r.warnings) != 3 {
		t.Errorf("after mending, the next trouble is news: %q", r.warnings)
	}
}

func TestAHugeFileIsNoSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huge")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := settings.SecretFile("T_S", path); err == nil || !strings.Contains(err.Error(), "longer than 64KiB") {
		t.Errorf("got %v", err)
	}
}

func TestLinesAreTheActiveSecrets(t *testing.T) {
	got := settings.NewSecret(" one \n\n two\r\n").Lines()
	if want := []string{"one", "two"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (settings.Secret{}).Lines(); got != nil {
		t.Errorf("unset: got %q", got)
	}
}

func TestASecretIsNeverPrinted(t *testing.T) {
	set := struct{ S settings.Secret }{settings.NewSecret("hunter2")}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{
		string(text), fmt.Sprint(set), fmt.Sprintf("%v %+v %#v %s %q %x %d", set.S, set, set, set.S, set.S, set.S, set.S), fmt.Sprint(&set),
	} {
		if strings.Contains(printed, "hunter2") || strings.Contains(printed, "68756e74657232") || !strings.Contains(printed, "(set)") {
			t.Errorf("got %s", printed)
		}
	}
	if got := fmt.Sprint(settings.Secret{}); got != "(unset)" {
		t.Errorf("got %s", got)
	}
}

func TestManyMayReadASecretWhileItChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	var clock sync.Mutex
	now := time.Unix(0, 0)
	s, err := settings.SecretFile("T_S", path, settings.Clock(func() time.Time {
		clock.Lock()
		defer clock.Unlock()
		now = now.Add(time.Second)
		return now
	}))
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for range 100 {
				if got := s.Get(); got != "a" && got != "b" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	next := path + ".next"
	if err := os.WriteFile(next, []byte("b"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	readers.Wait()
	s.Get() // the clock has moved on by seconds since
	s.Get()
	if got := s.Get(); got != "b" {
		t.Errorf("got %q, want the new value", got)
	}
}
