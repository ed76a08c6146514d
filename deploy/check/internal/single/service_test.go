package single

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait.
const patience = 2 * time.Minute

// service is one of Twinreel's services, run from its unit as systemd would, but for the restrictions.
type service struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// command is what systemd would run for a unit: its ExecStart, its environment, and its credentials, in a folder of their own.
// more is on top of that.
func command(t *testing.T, root, name string, more map[string]string) *exec.Cmd {
	t.Helper()
	tree := load(t, root)
	u := tree.Units[name]
	credentials := filepath.Join(root, "run", "credentials", "twinreel-"+name)
	for credential, file := range u.Credentials() {
		copyFile(t, filepath.Join(root, file), filepath.Join(credentials, credential), 0o400)
	}
	env := map[string]string{"PATH": "/usr/bin:/bin", "CREDENTIALS_DIRECTORY": credentials}
	for n, value := range tree.variables(name) {
		env[n] = strings.NewReplacer("%d", credentials, "%C", filepath.Join(root, "var", "cache")).Replace(value)
	}
	for key, base := range map[string]string{"StateDirectory": "var/lib", "CacheDirectory": "var/cache"} {
		if dir := u.Value("Service", key); dir != "" {
			env[map[string]string{"StateDirectory": "STATE_DIRECTORY", "CacheDirectory": "CACHE_DIRECTORY"}[key]] = filepath.Join(root, base, dir)
			if err := os.MkdirAll(filepath.Join(root, base, dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	maps.Copy(env, more)
	var args []string
	for _, word := range strings.Fields(u.Value("Service", "ExecStart")) {
		if strings.HasPrefix(word, "/") {
			word = filepath.Join(root, word)
		}
		args = append(args, os.Expand(word, func(n string) string { return env[n] }))
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "/"
	for _, n := range slices.Sorted(maps.Keys(env)) {
		cmd.Env = append(cmd.Env, n+"="+env[n])
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// start starts a service, and stops it when the test ends.
func start(t *testing.T, root, name string, more map[string]string) *service {
	t.Helper()
	s := &service{t: t, name: name, cmd: command(t, root, name, more), log: filepath.Join(t.TempDir(), name+".log"), done: make(chan struct{})}
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is looked up in its state
		log.Close()
		close(s.done)
	}()
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("the last of %s:\n%s", name, s.tail())
		}
	})
	return s
}

// stop stops the service as systemd does; one that does not end in time is killed, and a failure.
func (s *service) stop() {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("stop %s: %v", s.name, err)
	}
	select {
	case <-s.done:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill() // it is a failure already
		<-s.done
		s.t.Errorf("%s did not end", s.name)
	}
}

// tail is the end of the service's log.
func (s *service) tail() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-3000):])
}

// provision runs the oneshot until it succeeds, as Restart=on-failure does.
func provision(t *testing.T, root string) {
	t.Helper()
	await(t, "provisioning", func() error {
		out, err := command(t, root, "provision", nil).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// operator runs the operator's command as it was laid out, and returns its results.
func operator(t *testing.T, root string, args ...string) ([]byte, error) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "usr", "local", "sbin", "twinreel"), args...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("twinreel %s: %w: %s", strings.Join(args, " "), err, &said)
	}
	return out, nil
}

// await waits until a condition holds.
func await(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// shippedPorts are the ports that the configuration names. Tests run beside each other, so each takes others.
var shippedPorts = regexp.MustCompile(`(:|^port )(4222|8222|6379|443|8081|9091|9092|9093|9094)\b`)

// movePorts replaces each port in what was laid out by a free one, everywhere the same, and returns them.
func movePorts(t *testing.T, root string) map[string]string {
	t.Helper()
	ports := map[string]string{}
	files, err := filepath.Glob(filepath.Join(root, "etc", "twinreel", "*.[ce]*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.IsDir() {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for n, line := range lines {
			lines[n] = shippedPorts.ReplaceAllStringFunc(line, func(found string) string {
				m := shippedPorts.FindStringSubmatch(found)
				if ports[m[2]] == "" {
					ports[m[2]] = freePort(t)
				}
				return m[1] + ports[m[2]]
			})
		}
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return ports
}
