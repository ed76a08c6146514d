package images

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// biggest is what an archive of an image may weigh. What is in it is a program and certificates: anything else shows here.
const biggest = 20 << 20

func TestTheImagesAreSmallTheSameAgainAndDoTheirWork(t *testing.T) {
	root := repo.Path(t)
	dir := t.TempDir()
	list, err := Builder{Root: root, Out: dir, Arch: runtime.GOARCH, Say: os.Stderr}.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	engine, err := NewEngine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	for _, one := range list {
		t.Run(one.Program, func(t *testing.T) {
			if one.Bytes > biggest {
				t.Errorf("%d bytes, at most %d", one.Bytes, biggest)
			}
			for _, problem := range Inspect(one) {
				t.Error(problem)
			}
			if err := engine.Load(t.Context(), one); err != nil {
				t.Fatal(err)
			}
			runs(t, engine, one)
			listed(t, one)
		})
	}
	t.Run("the same commit makes the same program elsewhere", func(t *testing.T) { again(t, root, list) })
	t.Run("the story", func(t *testing.T) { story(t, root, engine, list) })
}

// runs runs a program in its image: it tells its version, and which settings it lacks, by their names.
func runs(t *testing.T, engine *Engine, one Image) {
	t.Helper()
	out, err := engine.Run(t.Context(), one, nil, "--version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), one.Program+" ") {
		t.Errorf("--version: %v\n%s", err, out)
	}
	args := []string{}
	if one.Program == "reconciler" {
		args = append(args, "run")
	}
	out, err = engine.Run(t.Context(), one, nil, args...).CombinedOutput()
	var code *exec.ExitError
	if !errors.As(err, &code) || code.ExitCode() != 2 {
		t.Errorf("without settings: %v, want exit code 2\n%s", err, out)
	}
	settings, err := repo.Settings(t.Context(), one.Program)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings {
		if s.Required && !strings.Contains(string(out), s.Name) {
			t.Errorf("without settings: it does not name %s\n%s", s.Name, out)
		}
	}
}

// listed looks for the inventory to name what the program is built from.
func listed(t *testing.T, one Image) {
	t.Helper()
	b, err := os.ReadFile(one.SBOM)
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat  string `json:"bomFormat"`
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(b, &bom); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(bom.Components, func(c struct{ Name, Version string }) bool { return c.Name == "github.com/nats-io/nats.go" })
	if bom.BOMFormat != "CycloneDX" || i < 0 || bom.Components[i].Version == "" {
		t.Errorf("%s: format %q, %d components, nats.go at %d", one.SBOM, bom.BOMFormat, len(bom.Components), i)
	}
}

// again builds the programs from a copy of the checkout in another folder.
func again(t *testing.T, root string, list []Image) {
	t.Helper()
	copied := t.TempDir()
	files, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatal(err)
	}
	clone := exec.CommandContext(t.Context(), "git", "clone", "--quiet", "--no-checkout", root, copied)
	if err := run(clone); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Split(strings.TrimRight(string(files), "\x00"), "\x00") {
		b, err := os.ReadFile(filepath.Join(root, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, and not yet committed
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(copied, name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(copied, name), b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := run(exec.CommandContext(t.Context(), "git", "-C", copied, "config", "core.fileMode", "false")); err != nil {
		t.Fatal(err)
	}
	if err := run(exec.CommandContext(t.Context(), "git", "-C", copied, "reset", "--quiet")); err != nil {
		t.Fatal(err)
	}
	for _, one := range list {
		to := filepath.Join(t.TempDir(), one.Program)
		if err := (Builder{Root: copied, Arch: runtime.GOARCH}).compile(t.Context(), one.Program, to); err != nil {
			t.Fatal(err)
		}
		if sum, err := sumOf(to); err != nil || sum != one.Binary {
			t.Errorf("%s: sha256 %s elsewhere, %s here, %v", one.Program, sum, one.Binary, err)
		}
	}
}

// story plays the demonstration with the images in place of the programs.
func story(t *testing.T, root string, engine *Engine, list []Image) {
	t.Helper()
	bin, shared := t.TempDir(), t.TempDir()
	if err := engine.Stand(bin, shared, list); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "bin", "local"), "demo", "--bin", bin)
	cmd.Env, cmd.Dir = append(os.Environ(), "TMPDIR="+shared), root
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, t.Output()), t.Output()
	if err := cmd.Run(); err != nil {
		t.Fatalf("the story with images: %v", err)
	}
	if !strings.Contains(out.String(), "PROVED: all 60 recordings are in both clouds") {
		t.Error("the story does not say what it proved")
	}
}

// An image that is not as it must be is told by what is wrong with it.
func TestAnImageThatIsNotAsItMustBeIsCaught(t *testing.T) {
	sound := func() config {
		c := config{}
		c.Config.User, c.Config.Entrypoint = "65532:65532", []string{"/twinreel"}
		c.Config.Labels = map[string]string{}
		for _, name := range labels() {
			c.Config.Labels[name] = "x"
		}
		return c
	}
	files := []string{"etc/ssl/certs/ca-certificates.crt", "tmp", "twinreel"}
	if got := judge(sound(), files); len(got) > 0 {
		t.Fatalf("a sound one: %v", got)
	}
	for name, c := range map[string]struct {
		change func(*config)
		files  []string
		want   string
	}{
		"root":            {func(c *config) { c.Config.User = "" }, files, "user"},
		"root by name":    {func(c *config) { c.Config.User = "root" }, files, "user"},
		"a shell":         {func(*config) {}, append(slices.Clone(files), "bin/sh"), "bin/sh"},
		"no certificates": {func(*config) {}, files[1:], "etc/ssl/certs/ca-certificates.crt"},
		"no licence":      {func(c *config) { delete(c.Config.Labels, "org.opencontainers.image.licenses") }, files, "licenses"},
		"no version":      {func(c *config) { c.Config.Labels["org.opencontainers.image.version"] = "" }, files, "version"},
		"a secret in it":  {func(c *config) { c.Config.Env = []string{"TWINREEL_WEBHOOK_SECRET=x"} }, files, "TWINREEL_WEBHOOK_SECRET"},
		"a shell's entry": {func(c *config) { c.Config.Entrypoint = []string{"sh", "-c", "/twinreel"} }, files, "entry point"},
	} {
		sick := sound()
		c.change(&sick)
		if got := judge(sick, c.files); len(got) != 1 || !strings.Contains(got[0].Error(), c.want) {
			t.Errorf("%s: got %v, want one that names %s", name, got, c.want)
		}
	}
}

func TestWhatIsNoImageIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.tar")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "index.json", Size: 2, Mode: 0o600}), func() error { _, err := fmt.Fprint(w, "{}"); return err }(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Inspect(Image{Archive: path}); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}
