package layout_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/local/layout"
)

// root is the repository's folder: the one with go.work, above this package's.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir
		}
		above := filepath.Dir(dir)
		if above == dir {
			t.Fatal("no go.work above this package")
		}
		dir = above
	}
}

// list asks the go command what the packages of a module and their tests are built from.
func list(t *testing.T, dir, gowork string) []layout.Package {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-test",
		"-json=ImportPath,Name,Dir,ForTest,DepOnly,Imports,TestImports,XTestImports,GoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = append(os.Environ(), "GOWORK="+gowork)
	if err := cmd.Run(); err != nil {
		t.Fatalf("go list in %s with GOWORK=%s: %v\n%s", dir, filepath.Base(gowork), err, stderr.String())
	}
	var out []layout.Package
	for dec := json.NewDecoder(&stdout); ; {
		var p layout.Package
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("read the listing: %v", err)
		}
		out = append(out, p)
	}
}

func TestEveryModuleKeepsTheRulesWithAndWithoutTheWorkspace(t *testing.T) {
	dir := root(t)
	all, listed := layout.Graph{}, true
	for _, name := range layout.Modules() {
		for _, way := range []struct{ name, gowork string }{{"workspace", filepath.Join(dir, "go.work")}, {"alone", "off"}} {
			listed = t.Run(name+"/"+way.name, func(t *testing.T) {
				packages := list(t, filepath.Join(dir, filepath.FromSlash(name)), way.gowork)
				if !slices.ContainsFunc(packages, func(p layout.Package) bool { return !p.DepOnly }) {
					t.Fatal("the module has no packages")
				}
				g := layout.NewGraph(packages)
				for _, finding := range layout.Check(g) {
					t.Error(finding)
				}
				maps.Copy(all, g)
			}) && listed
		}
	}
	if !listed {
		return // what could not be listed would look as if it were gone
	}
	for _, finding := range layout.Stale(all) {
		t.Error(finding)
	}
}

func TestTheWorkspaceJoinsExactlyTheModules(t *testing.T) {
	dir := root(t)
	work, err := os.ReadFile(filepath.Join(dir, "go.work"))
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	for _, m := range regexp.MustCompile(`(?m)^\s*(?:use\s+)?\./(\S+)\s*$`).FindAllSubmatch(work, -1) {
		used = append(used, string(m[1]))
	}
	slices.Sort(used)
	if !slices.Equal(used, layout.Modules()) {
		t.Errorf("go.work uses %v, want %v", used, layout.Modules())
	}
	for _, name := range layout.Modules() {
		mod, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name), "go.mod"))
		if err != nil {
			t.Error(err)
			continue
		}
		if first, _, _ := strings.Cut(string(mod), "\n"); strings.TrimSpace(first) != "module "+layout.Root+"/"+name {
			t.Errorf("%s/go.mod begins with %q", name, first)
		}
	}
}

func TestOnlyTheKnownFoldersExistAndEachOfTheFirstLevelSaysWhatItIs(t *testing.T) {
	dir := root(t)
	for parent, allowed := range layout.Folders() {
		entries, err := os.ReadDir(filepath.Join(dir, parent))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || (parent == "" && e.Name() == "bin") {
				continue
			}
			if !slices.Contains(allowed, e.Name()) {
				t.Errorf("folder %s is not one that the design knows", filepath.Join(parent, e.Name()))
			}
			if _, err := os.Stat(filepath.Join(dir, parent, e.Name(), "README.md")); parent == "" && err != nil {
				t.Errorf("folder %s has no README.md that says what lives there and what must not", e.Name())
			}
		}
	}
}

func TestNoFileDeclaresAnInitFunction(t *testing.T) {
	dir, files := root(t), 0
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != dir && (strings.HasPrefix(e.Name(), ".") || e.Name() == "node_modules" || e.Name() == "testdata"):
			return filepath.SkipDir
		case e.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		found, err := layout.InitFuncs(path, source)
		for _, at := range found {
			t.Errorf("%s: an init function: build it in main and hand it on", at)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Errorf("only %d files of Go were found: the walk looks at the wrong place", files)
	}
}
