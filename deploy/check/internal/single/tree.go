// Package single checks what deploys Twinreel on one server: the units, configuration and scripts of deploy/single, as
// `install --root` lays them out.
//
// Most checks are functions over what is laid out, so that a test can break a copy and see it noticed. systemd does not run
// where these tests run: its own analyzer verifies the units, and the end-to-end tests do what systemd would with them.
package single

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/twinreel/twinreel/deploy/check/internal/tools"
)

// Tree is what was laid out below a folder.
type Tree struct {
	Root  string
	Units map[string]Unit              // by service, without "twinreel-" and ".service"
	Env   map[string]map[string]string // the environment files, by service
	NATS  string                       // nats.conf
	Redis string                       // redis.conf
	Users string                       // the file for systemd-sysusers
}

// Services are all of Twinreel's services on one server; the first five run its programs.
func Services() []string {
	return []string{"ingress", "worker-primary", "worker-backup", "reconciler", "provision", "nats", "redis"}
}

// program is the program that a service runs, "" for other people's servers.
func program(service string) string {
	switch service {
	case "nats", "redis":
		return ""
	case "provision":
		return "reconciler"
	}
	return service
}

// Load reads what is below root.
func Load(root string) (Tree, error) {
	t := Tree{Root: root, Units: map[string]Unit{}, Env: map[string]map[string]string{}}
	for _, s := range Services() {
		u, err := loadUnit(filepath.Join(root, "etc", "systemd", "system"), "twinreel-"+s+".service")
		if err != nil {
			return t, err
		}
		t.Units[s] = u
		if program(s) == "" {
			continue
		}
		if t.Env[s], err = loadEnv(filepath.Join(root, "etc", "twinreel", s+".env")); err != nil {
			return t, err
		}
	}
	for file, into := range map[string]*string{"etc/twinreel/nats.conf": &t.NATS, "etc/twinreel/redis.conf": &t.Redis, "etc/sysusers.d/twinreel.conf": &t.Users} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return t, err
		}
		*into = string(text)
	}
	return t, nil
}

// loadEnv reads an environment file. A name that is there twice is an error: the second would silently win.
func loadEnv(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for n, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if _, twice := out[name]; !ok || twice {
			return nil, fmt.Errorf("%s, line %d: want NAME=value, each name once", file, n+1)
		}
		out[name] = value
	}
	return out, nil
}

// variables is the whole environment of a service but for what systemd adds: its file counts over its unit.
func (t Tree) variables(service string) map[string]string {
	out := t.Units[service].Environment()
	maps.Copy(out, t.Env[service])
	return out
}

// Verify asks systemd's analyzer about all units below root. It only warns of much that matters, such as a misspelt name of a
// restriction, so anything that it says is an error.
func Verify(ctx context.Context, root string) error {
	if err := tools.Commands(ctx, "systemd-analyze"); err != nil {
		return err
	}
	args := []string{"verify", "--man=no", "--root=" + root, "twinreel.target"}
	for _, s := range Services() {
		args = append(args, "twinreel-"+s+".service")
	}
	out, err := exec.CommandContext(ctx, "systemd-analyze", args...).CombinedOutput()
	if err != nil || len(out) > 0 {
		return fmt.Errorf("systemd-analyze verify: %w", errors.Join(err, errors.New(string(out))))
	}
	return nil
}

// Exposure asks systemd's analyzer whether a service is exposed more than the bound, in tenths: 0 is sealed off, 100 open.
func Exposure(ctx context.Context, root, service string, bound int) error {
	out, err := exec.CommandContext(ctx, "systemd-analyze", "security", "--no-pager", "--offline=true", "--root="+root,
		fmt.Sprintf("--threshold=%d", bound), "twinreel-"+service+".service").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s is exposed more than %d tenths: %w\n%s", service, bound, err, out)
	}
	return nil
}
