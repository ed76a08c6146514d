// Package images builds the four container images, and what goes with them: an inventory of what each program is built from,
// and checksums.
package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
	"github.com/twinreel/twinreel/deploy/check/internal/tools"
)

// Builder builds the images of a checkout. The same commit makes the same files.
type Builder struct {
	Root     string // the checkout
	Out      string // where archives, inventories and checksums go
	Arch     string // as Go names it
	Registry string // before the image's name: example.com/team/
	Say      io.Writer

	storage string // of buildah
}

// Image is one that was built.
type Image struct {
	Program string
	Name    string // with its tag
	Archive string // the image as an OCI archive
	SBOM    string // CycloneDX, JSON
	Binary  string // the SHA-256 of the program in it
	Bytes   int64  // of the archive
}

// stamp is what the images say they were built from.
type stamp struct{ version, revision, created string }

// All builds all four.
func (b Builder) All(ctx context.Context) (out []Image, err error) {
	if err := tools.Commands(ctx, "buildah"); err != nil {
		return nil, err
	}
	from, err := b.stamp(ctx)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(b.Out, 0o755); err != nil {
		return nil, err
	}
	if b.storage, err = os.MkdirTemp("", "twinreel-images-"); err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(b.storage) }()
	var sums strings.Builder
	for _, p := range repo.Programs() {
		fmt.Fprintf(b.Say, "building %s …\n", p)
		one, err := b.one(ctx, p, from)
		if err != nil {
			return nil, fmt.Errorf("the image of %s: %w", p, err)
		}
		for _, f := range []string{one.Archive, one.SBOM} {
			sum, err := sumOf(f)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&sums, "%s  %s\n", sum, filepath.Base(f))
		}
		fmt.Fprintf(&sums, "%s  %s\n", one.Binary, p)
		out = append(out, one)
	}
	return out, os.WriteFile(filepath.Join(b.Out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

// stamp asks git what is being built.
func (b Builder) stamp(ctx context.Context) (s stamp, err error) {
	ask := func(args ...string) string {
		out, e := exec.CommandContext(ctx, "git", append([]string{"-C", b.Root}, args...)...).Output()
		if e != nil && err == nil {
			err = fmt.Errorf("git %s: %w (images are built from a git checkout)", strings.Join(args, " "), e)
		}
		return strings.TrimSpace(string(out))
	}
	s.revision, s.version = ask("rev-parse", "HEAD"), ask("describe", "--tags", "--always", "--dirty")
	at := ask("show", "-s", "--format=%cI", "HEAD")
	if err != nil {
		return s, err
	}
	t, err := time.Parse(time.RFC3339, at)
	s.created = t.UTC().Format(time.RFC3339)
	return s, err
}

// one builds one image.
func (b Builder) one(ctx context.Context, program string, from stamp) (Image, error) {
	work, err := os.MkdirTemp(b.storage, program+"-")
	if err != nil {
		return Image{}, err
	}
	binary := filepath.Join(work, program)
	if err := b.compile(ctx, program, binary); err != nil {
		return Image{}, err
	}
	if err := os.WriteFile(filepath.Join(work, "ca-certificates.crt"), Certificates(), 0o644); err != nil {
		return Image{}, err
	}
	if err := os.Mkdir(filepath.Join(work, "tmp"), 0o755); err != nil {
		return Image{}, err
	}
	out := Image{
		Program: program, Name: b.Registry + "twinreel-" + program + ":" + from.version,
		Archive: filepath.Join(b.Out, program+".tar"), SBOM: filepath.Join(b.Out, program+".cdx.json"),
	}
	if out.Binary, err = sumOf(binary); err != nil {
		return Image{}, err
	}
	args := []string{
		"build", "--isolation", "chroot", "--timestamp", "0", "--arch", b.Arch, "--file", filepath.Join(b.Root, "deploy", "images", "Containerfile"),
		"--tag", out.Name,
	}
	for name, value := range map[string]string{"PROGRAM": program, "VERSION": from.version, "REVISION": from.revision, "CREATED": from.created} {
		args = append(args, "--build-arg", name+"="+value)
	}
	if err := b.buildah(ctx, append(args, work)...); err != nil {
		return Image{}, err
	}
	if err := os.RemoveAll(out.Archive); err != nil {
		return Image{}, err
	}
	if err := b.buildah(ctx, "push", "--quiet", out.Name, "oci-archive:"+out.Archive+":"+out.Name); err != nil {
		return Image{}, err
	}
	if err := b.inventory(ctx, binary, out.SBOM); err != nil {
		return Image{}, err
	}
	info, err := os.Stat(out.Archive)
	if err != nil {
		return Image{}, err
	}
	out.Bytes = info.Size()
	return out, nil
}

// compile builds the program for a file system that has nothing else in it, and without a trace of where it was built.
func (b Builder) compile(ctx context.Context, program, to string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=true", "-ldflags", "-s -w -buildid=", "-o", to, ".")
	cmd.Dir = filepath.Join(b.Root, program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+b.Arch, "GOFLAGS=")
	return run(cmd)
}

// buildah runs buildah over a storage of its own.
func (b Builder) buildah(ctx context.Context, args ...string) error {
	own := []string{"--root", filepath.Join(b.storage, "root"), "--runroot", filepath.Join(b.storage, "run"), "--storage-driver", "overlay"}
	return run(exec.CommandContext(ctx, "buildah", append(own, args...)...))
}

// inventory writes what the program is built from.
func (b Builder) inventory(ctx context.Context, binary, to string) error {
	tool, err := tools.Tool{Name: "cyclonedx-gomod", Package: "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod", Version: "v1.10.0"}.Path(ctx)
	if err != nil {
		return err
	}
	if err := run(exec.CommandContext(ctx, tool, "bin", "-json", "-noserial", "-output", to, binary)); err != nil {
		return err
	}
	return timeless(to)
}

// timeless takes the time of its making out of an inventory, by which the same program would have two.
func timeless(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var bom map[string]any
	if err := json.Unmarshal(b, &bom); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if meta, ok := bom["metadata"].(map[string]any); ok {
		delete(meta, "timestamp")
	}
	if b, err = json.MarshalIndent(bom, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// run runs a command; an error holds what it printed.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(slices.Concat([]string{filepath.Base(cmd.Path)}, cmd.Args[1:]), " "), err, out)
	}
	return nil
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
