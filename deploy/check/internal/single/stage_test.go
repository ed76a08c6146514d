package single

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
	"github.com/twinreel/twinreel/deploy/check/internal/tools"
)

// natsVersion is the version of nats-server that the rest of the repository runs.
func natsVersion(t *testing.T) string {
	t.Helper()
	v, err := tools.NATSVersion()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// binaries is a folder with all that install wants.
func binaries(t *testing.T) string {
	t.Helper()
	nats, err := tools.NATSServer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link(t, nats, filepath.Join(dir, "nats-server"))
	for _, p := range repo.Programs() {
		link(t, repo.Path(t, "bin", p), filepath.Join(dir, p))
	}
	return dir
}

func link(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(from, to); err != nil {
		t.Fatal(err)
	}
}

// answers are those of a person at the install.
func answers() map[string]string {
	return map[string]string{
		"HOST": "recordings.example.com", "S3_BUCKET": "recordings", "S3_REGION": "eu-central-1",
		"S3_WORKER_KEY_ID": "AKIAWORKER", "S3_WORKER_SECRET": "worker&secret|/+", "S3_RECONCILER_KEY_ID": "AKIAREADER", "S3_RECONCILER_SECRET": "reader",
		"AZURE_CONTAINER_URL": "https://example.blob.core.windows.net/recordings", "AZURE_WORKER_SAS": "?sv=2022-11-02&sig=x%3D", "AZURE_RECONCILER_KEY": "a2V5",
	}
}

// install runs the script, and returns what it said.
func install(t *testing.T, root, bin string, values map[string]string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "answers")
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text.WriteString(name + "=" + values[name] + "\n")
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), repo.Path(t, "deploy/single/install"), "--root", root, "--bin", bin, "--answers", file).CombinedOutput()
	return string(out), err
}

// stage lays everything out below a new folder, with the parts of Debian that units refer to.
func stage(t *testing.T, values map[string]string) string {
	t.Helper()
	root := t.TempDir()
	if out, err := install(t, root, binaries(t), values); err != nil {
		t.Fatalf("install: %v\n%s", err, out)
	}
	if err := os.MkdirAll(filepath.Join(root, "usr", "lib", "systemd"), 0o755); err != nil {
		t.Fatal(err)
	}
	// As they are, links and all.
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", "/usr/lib/systemd/system", filepath.Join(root, "usr", "lib", "systemd")).CombinedOutput(); err != nil {
		t.Fatalf("copy Debian's units: %v\n%s", err, out)
	}
	copyFile(t, redisBinary(t), filepath.Join(root, "usr", "bin", "redis-server"), 0o755)
	return root
}

// redisBinary is the server: Debian's redis-tools has it, too, under another name.
func redisBinary(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"redis-server", "redis-check-aof"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no Redis: install Debian's redis-server or redis-tools")
	return ""
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, data, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// load reads what was laid out.
func load(t *testing.T, root string) Tree {
	t.Helper()
	tree, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// settings are what the programs say that they read.
func settings(t *testing.T) map[string][]repo.Setting {
	t.Helper()
	out := map[string][]repo.Setting{}
	for _, p := range repo.Programs() {
		list, err := repo.Settings(context.WithoutCancel(t.Context()), p)
		if err != nil {
			t.Fatal(err)
		}
		out[p] = list
	}
	return out
}
