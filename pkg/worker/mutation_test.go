package worker

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutation is a rule broken on purpose, by small edits of the program's source, and what must then be said to be broken:
// a test of the test.
type mutation struct {
	rule   int // of the design
	name   string
	edits  []edit
	breaks string // a promise of the model's, or a test of another package
	in     string // that package's folder; "" for the model test
	or     string // another promise that may be seen to break first
}

// edit replaces text that occurs exactly once in a file.
type edit struct{ file, old, new string }

// longMutations, when set, has every mutation tried, not only that all of them still apply.
const longMutations = "TWINREEL_TEST_MUTATIONS"

// root is the repository's folder, from this package's.
const root = "../.."

func TestMutationsStillApply(t *testing.T) {
	for _, m := range mutations() {
		t.Run(m.label(), func(t *testing.T) { m.overlay(t) })
	}
}

// TestMutations breaks one rule after the other and demands that it is noticed.
func TestMutations(t *testing.T) {
	if os.Getenv(longMutations) == "" {
		t.Logf("set %s=1 to try %d mutations; that they still apply is tested always", longMutations, len(mutations()))
		return
	}
	for _, m := range mutations() {
		t.Run(m.label(), func(t *testing.T) {
			out, err := m.test(t)
			switch {
			case err == nil:
				t.Errorf("nobody notices")
			case !strings.Contains(out, m.sign(m.breaks)) && (m.or == "" || !strings.Contains(out, m.sign(m.or))):
				t.Errorf("it fails, but not by %q:\n%s", m.sign(m.breaks), out)
			}
		})
	}
}

func (m mutation) label() string { return fmt.Sprintf("rule %d: %s", m.rule, m.name) }

// sign is what a failed test says.
func (m mutation) sign(breaks string) string {
	if m.in != "" {
		return "--- FAIL: " + breaks
	}
	return fmt.Sprintf("broken promise %q", breaks)
}

// test runs what must notice, on the mutated source.
func (m mutation) test(t *testing.T) (out string, err error) {
	dir, args := filepath.Join(root, "pkg"), []string{"-run=^TestModel$", "./worker", "-rapid.checks=4000", "-rapid.nofailfile", "-rapid.shrinktime=0s"}
	if m.in != "" {
		module, folder, _ := strings.Cut(m.in, "/")
		dir, args = filepath.Join(root, module), []string{"-run=^" + m.breaks + "$", "./" + folder}
	}
	args = append([]string{"test", "-vet=off", "-timeout=10m", "-overlay=" + m.overlay(t)}, args...)
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	said, err := cmd.CombinedOutput()
	return string(said), err
}

// overlay writes the mutated files and returns the go command's description of them. It fails where an edit's text is no
// longer in the source: then the mutation has to follow it.
func (m mutation) overlay(t *testing.T) string {
	t.Helper()
	dir, source := t.TempDir(), map[string]string{}
	for _, e := range m.edits {
		if _, read := source[e.file]; !read {
			b, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				t.Fatal(err)
			}
			source[e.file] = string(b)
		}
		if n := strings.Count(source[e.file], e.old); n != 1 {
			t.Fatalf("%s holds this %d times, not once; mend the mutation:\n%s", e.file, n, e.old)
		}
		source[e.file] = strings.Replace(source[e.file], e.old, e.new, 1)
	}
	replace := map[string]string{}
	for file, text := range source {
		from, err := filepath.Abs(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		replace[from] = filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(replace[from], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(at, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}
