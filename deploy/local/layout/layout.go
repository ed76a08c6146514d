// Package layout holds the rules on who may depend on what, and tests the whole repository against them: the packages
// that each module really builds from, listed by the go command with the workspace and without it, and the folders.
//
// The tables in rules.go are the one place where a new dependency between packages is allowed, on purpose. A row that
// no longer guards anything is a finding as well, so that the tables cannot rot.
package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// Root is the import path that all modules share.
const Root = "github.com/twinreel/twinreel"

// Package is what a check needs to know of one package; the names are those of `go list -json`.
type Package struct {
	ImportPath   string
	Name         string
	Dir          string
	ForTest      string // not "": a copy made for one test
	DepOnly      bool   // listed only because another needs it
	Imports      []string
	TestImports  []string
	XTestImports []string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
}

// Graph is all packages of a listing, by import path.
type Graph map[string]Package

// NewGraph returns the graph of the listed packages, without the copies that the go command makes for tests.
func NewGraph(list []Package) Graph {
	g := Graph{}
	for _, p := range list {
		if p.ForTest == "" && !strings.HasSuffix(p.ImportPath, ".test") {
			g[p.ImportPath] = p
		}
	}
	return g
}

// own returns the sorted import paths below Root.
func (g Graph) own() []string {
	var out []string
	for path := range g {
		if within(path, Root) {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

// reach returns everything that the package from is built from, each with the package that first brought it in. With
// tests, what its own tests need is part of it.
func (g Graph) reach(from string, tests bool) map[string]string {
	via := map[string]string{from: ""}
	queue := []string{from}
	for len(queue) > 0 {
		at := g[queue[0]]
		at.ImportPath = queue[0]
		queue = queue[1:]
		next := at.Imports
		if tests && at.ImportPath == from {
			next = slices.Concat(at.Imports, at.TestImports, at.XTestImports)
		}
		for _, path := range next {
			if _, seen := via[path]; !seen {
				via[path] = at.ImportPath
				queue = append(queue, path)
			}
		}
	}
	return via
}

// chain writes the way from the start of a reach to one package, as "a → b → c".
func chain(via map[string]string, to string) string {
	var way []string
	for at := to; at != ""; at = via[at] {
		way = append(way, short(at))
	}
	slices.Reverse(way)
	return strings.Join(way, " → ")
}

// short is an import path without Root.
func short(path string) string { return strings.TrimPrefix(path, Root+"/") }

// within reports whether path is prefix or lies below it.
func within(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// withinAny reports whether path is one of the prefixes or lies below one.
func withinAny(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return within(path, prefix) })
}

// module is the folder of the module that an own import path belongs to.
func module(path string) string {
	path = short(path)
	for _, m := range []string{"deploy/check", "deploy/local"} {
		if within(path, m) {
			return m
		}
	}
	name, _, _ := strings.Cut(path, "/")
	return name
}

// InitFuncs returns the lines of source at which an init function is declared.
func InitFuncs(name string, source []byte) ([]token.Position, error) {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var out []token.Position
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			out = append(out, files.Position(f.Pos()))
		}
	}
	return out, nil
}
