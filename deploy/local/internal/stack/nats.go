package stack

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// testAccounts is how many accounts tests share among each other.
const testAccounts = 40

// NATSAccess is how to reach NATS.
type NATSAccess struct {
	URL, MonitorURL string
	// User and Password are of the account that the programs work in.
	User, Password string
	// SystemUser and SystemPassword are of the system account.
	SystemUser, SystemPassword string
}

func (s *Stack) describeNATS(set tools.Set, port, monitor int) error {
	dir, err := s.folder("nats")
	if err != nil {
		return err
	}
	s.NATSAccess = NATSAccess{
		URL: "nats://" + loopback(port), MonitorURL: "http://" + loopback(monitor),
		User: "twinreel", Password: secret(16), SystemUser: "system", SystemPassword: secret(16),
	}
	config := filepath.Join(dir, "nats.conf")
	s.natsConfigured = func(sync string) error {
		return os.WriteFile(config, []byte(s.natsConfig(dir, port, monitor, sync)), 0o600)
	}
	if err := s.Sync(true); err != nil {
		return err
	}
	s.NATS = &Server{
		Name: "nats-server", Addr: loopback(port),
		spec: process.Spec{
			Name: "nats-server", Path: set.NATS, Args: []string{"-c", config}, Env: os.Environ(),
			Log: filepath.Join(s.Dir, "nats.log"),
		},
		ready: answers(s.NATSAccess.MonitorURL+"/healthz", http.StatusOK),
	}
	return nil
}

// Sync makes the NATS server, from its next start on, sync every write to disk, as it always does unless told otherwise, or
// leave that to the system, which is quicker where much has to be filled in before anything is measured.
func (s *Stack) Sync(every bool) error {
	sync := "always"
	if !every {
		sync = "2m"
	}
	if err := s.natsConfigured(sync); err != nil {
		return fmt.Errorf("write the NATS server's configuration: %w", err)
	}
	return nil
}

// natsConfig is the server's configuration: when writes are synced to disk, one account for the programs, one for the
// system, and one JetStream world for each group of tests.
func (s *Stack) natsConfig(dir string, port, monitor int, sync string) string {
	a := s.NATSAccess
	var b strings.Builder
	fmt.Fprintf(&b, "server_name: local\nlisten: %q\nhttp: %q\n", loopback(port), loopback(monitor))
	// Accounts reserve what their streams may grow to, and there are many of them: the sum is far beyond this disk.
	fmt.Fprintf(&b, "jetstream { store_dir: %q, sync_interval: %q, max_file_store: 1TB, max_memory_store: 1GB }\n", dir, sync)
	fmt.Fprintf(&b, "system_account: SYS\naccounts {\n  SYS: { users: [{user: %s, password: %q}] }\n",
		a.SystemUser, a.SystemPassword)
	fmt.Fprintf(&b, "  TWINREEL: { jetstream: enabled, users: [{user: %s, password: %q}] }\n", a.User, a.Password)
	for n := 1; n <= testAccounts; n++ {
		fmt.Fprintf(&b, "  test%02d: { jetstream: enabled, users: [{user: test%02d, password: %q}] }\n",
			n, n, testenv.NATSPassword)
	}
	b.WriteString("}\n")
	return b.String()
}

// answers returns a check that passes once a GET of url is answered with the status, or with any where status is 0.
func answers(url string, status int) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if status != 0 && resp.StatusCode != status {
			return fmt.Errorf("GET %s: answered %s", url, resp.Status)
		}
		return nil
	}
}

// secret makes a random secret of n bytes, in hex.
func secret(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: see crypto/rand
	return hex.EncodeToString(b)
}
