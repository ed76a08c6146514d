// Package terraform checks deploy/terraform: by terraform itself, with the providers' schemas, and by the rules of this house
// on what it plans. Its policies are evaluated against the requests that the programs make: see policies.go.
package terraform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
	"github.com/twinreel/twinreel/deploy/check/internal/terraform/schema"
	"github.com/twinreel/twinreel/deploy/check/internal/tools"
)

// Tree is deploy/terraform's files: path below it to text.
type Tree map[string]string

// Read reads the tree as it stands.
func Read() (Tree, error) {
	root, err := repo.Root()
	if err != nil {
		return nil, err
	}
	base := filepath.Join(root, "deploy", "terraform")
	out := Tree{}
	err = filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.Name() == ".terraform" {
				return fs.SkipDir
			}
			return err
		}
		if filepath.Ext(path) != ".tf" && d.Name() != example {
			return nil // somebody's own values
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(base, path)
		out[filepath.ToSlash(name)] = string(text)
		return err
	})
	return out, err
}

// With is the tree with a text replaced, wherever it stands in the file. It is an error where it does not stand there.
func (t Tree) With(file, old, replacement string) (Tree, error) {
	if !strings.Contains(t[file], old) {
		return nil, fmt.Errorf("there is no %q in %s", old, file)
	}
	out := maps.Clone(t)
	out[file] = strings.ReplaceAll(out[file], old, replacement)
	return out, nil
}

var resourceType = regexp.MustCompile(`(?m)^(?:resource|data) "(\w+)"`)

// Types are the types of resources that the tree has.
func (t Tree) Types() []string {
	var out []string
	for _, text := range t {
		for _, m := range resourceType.FindAllStringSubmatch(text, -1) {
			out = append(out, m[1])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Terraform is terraform, with stand-ins for the providers.
type Terraform struct {
	path string
	lock string // the file in which an initialised tree says which providers it uses
	env  []string
}

// Versions of terraform, and of those of its parts that are modules of their own.
const (
	version = "v1.11.4"
	parts   = "v0.0.0-20250409131005-35645b8fca68"
)

// executable builds terraform. Its own go.mod replaces some of its modules by folders, which its module does not have: they are
// taken as the modules of the same commit.
func executable(ctx context.Context) (string, error) {
	t := tools.Tool{Name: "terraform", Package: "github.com/hashicorp/terraform", Version: version, Replace: map[string]string{}}
	for _, name := range []string{"azure", "consul", "cos", "gcs", "kubernetes", "oss", "pg", "s3"} {
		t.Replace["github.com/hashicorp/terraform/internal/backend/remote-state/"+name] = parts
	}
	t.Replace["github.com/hashicorp/terraform/internal/legacy"] = parts
	return t.Path(ctx)
}

// Open gets terraform ready to look at a tree, and at others that differ in their text only; what it needs is kept in dir. The tree
// is initialised and validated. The types are those of resources that only the others have.
func Open(ctx context.Context, dir string, tree Tree, types ...string) (*Terraform, error) {
	root, err := repo.Root()
	if err != nil {
		return nil, err
	}
	path, err := executable(ctx)
	if err != nil {
		return nil, err
	}
	providers, err := schema.Of(ctx, append(tree.Types(), types...))
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(dir, "standin")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./internal/terraform/standin")
	build.Dir = filepath.Join(root, "deploy", "check")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the stand-in: %w\n%s", err, out)
	}
	mirror := filepath.Join(dir, "providers")
	for _, p := range providers {
		if _, err := p.Write(dir); err != nil {
			return nil, err
		}
		at := filepath.Join(mirror, "registry.terraform.io", "hashicorp", p.Name, p.Version, runtime.GOOS+"_"+runtime.GOARCH)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return nil, err
		}
		if err := os.Link(binary, filepath.Join(at, "terraform-provider-"+p.Name+"_v"+p.Version)); err != nil {
			return nil, err
		}
	}
	config := filepath.Join(dir, "cli.tfrc")
	text := fmt.Sprintf("disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	t := &Terraform{path: path, lock: filepath.Join(dir, "tree", production, lockFile), env: append(os.Environ(), "TF_CLI_CONFIG_FILE="+config,
		"TWINREEL_STANDIN_SCHEMAS="+dir, "TF_DATA_DIR="+filepath.Join(dir, "data"), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")}
	return t, t.initialise(ctx, tree, filepath.Join(dir, "tree"))
}

// initialise finds the modules and providers, once for all trees.
func (t *Terraform) initialise(ctx context.Context, tree Tree, dir string) error {
	if err := tree.write(dir); err != nil {
		return err
	}
	at := filepath.Join(dir, production)
	if _, err := t.run(ctx, at, "init", "-input=false", "-no-color"); err != nil {
		return err
	}
	_, err := t.run(ctx, at, "validate", "-no-color")
	return err
}

// ansi are the marks by which terraform colours what it says, and the bars at the side.
var ansi = regexp.MustCompile(`\x1b\[[0-9;]*m|[│╷╵]`)

// run runs terraform in dir, and returns what it wrote to stdout.
func (t *Terraform) run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, t.path, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, t.env, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		said := strings.Join(strings.Fields(ansi.ReplaceAllString(stderr.String(), "")), " ")
		return stdout.Bytes(), fmt.Errorf("terraform %s: %w: %s", args[0], err, said)
	}
	return stdout.Bytes(), nil
}

// Format says which files are not as `terraform fmt` writes them.
func (t *Terraform) Format(ctx context.Context, tree Tree, dir string) error {
	if err := tree.write(dir); err != nil {
		return err
	}
	out, err := t.run(ctx, dir, "fmt", "-check", "-recursive", "-list=true")
	if err != nil {
		return fmt.Errorf("%w %s: run terraform fmt -recursive", err, out)
	}
	return nil
}

// Planned is what terraform would make.
type Planned struct {
	Resources []Resource
	Outputs   map[string]json.RawMessage
}

// Resource is one resource, as planned.
type Resource struct {
	Address string         `json:"address"`
	Type    string         `json:"type"`
	Name    string         `json:"name"`
	Values  map[string]any `json:"values"`
}

// module is a module as terraform tells of it.
type module struct {
	Resources []Resource `json:"resources"`
	Modules   []module   `json:"child_modules"`
}

func (m module) all() []Resource {
	out := slices.Clone(m.Resources)
	for _, inner := range m.Modules {
		out = append(out, inner.all()...)
	}
	return out
}

// production is the folder that is planned, and its example's variables.
const (
	production = "production"
	example    = "example.tfvars"
	lockFile   = ".terraform.lock.hcl"
)

// Plan plans production in dir with the example's variables, and returns what would be made. Variables
// are lines that set some otherwise.
func (t *Terraform) Plan(ctx context.Context, tree Tree, dir string, variables ...string) (Planned, error) {
	if err := tree.write(dir); err != nil {
		return Planned{}, err
	}
	at := filepath.Join(dir, production)
	providers, err := os.ReadFile(t.lock)
	if err != nil {
		return Planned{}, err
	}
	if err := os.WriteFile(filepath.Join(at, lockFile), providers, 0o600); err != nil {
		return Planned{}, err
	}
	if err := os.WriteFile(filepath.Join(at, "other.tfvars"), []byte(strings.Join(variables, "\n")+"\n"), 0o600); err != nil {
		return Planned{}, err
	}
	if _, err := t.run(ctx, at, "plan", "-input=false", "-no-color", "-lock=false", "-refresh=false", "-out=plan", "-var-file="+example, "-var-file=other.tfvars"); err != nil {
		return Planned{}, err
	}
	text, err := t.run(ctx, at, "show", "-json", "plan")
	if err != nil {
		return Planned{}, err
	}
	var shown struct {
		Values struct {
			Outputs map[string]struct{ Value json.RawMessage } `json:"outputs"`
			Root    module                                     `json:"root_module"`
		} `json:"planned_values"`
	}
	if err := json.Unmarshal(text, &shown); err != nil {
		return Planned{}, fmt.Errorf("read the plan: %w", err)
	}
	out := Planned{Resources: shown.Values.Root.all(), Outputs: map[string]json.RawMessage{}}
	for name, o := range shown.Values.Outputs {
		out.Outputs[name] = o.Value
	}
	if len(out.Resources) == 0 {
		return Planned{}, errors.New("the plan makes nothing")
	}
	return out, nil
}

// write lays the tree out in dir. Its state belongs to nobody there.
func (t Tree) write(dir string) error {
	for name, text := range t {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, production, "backend_override.tf"), []byte("terraform {\n  backend \"local\" {}\n}\n"), 0o600)
}
