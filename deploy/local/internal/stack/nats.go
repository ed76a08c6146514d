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

	"github.com/twinreel/twinreel/deploy/local/internal/process"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
	"github.com/twinreel/twinreel/deploy/local/natsserver"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// Login is a user of NATS.
type Login struct{ User, Password string }

// NATSAccess is how to reach NATS.
type NATSAccess struct {
	// TLSURL is how the programs reach it: they check the server's certificate against CA, a file. URL is without TLS, for
	// tests of single packages; a server in production takes no such connections.
	TLSURL, CA, URL string
	MonitorURL      string
	// Logins are of the programs, by name, and of provisioning: each may do what package natsserver says.
	Logins map[string]Login
	// User and Password may do everything in the account that the programs work in; only the stack itself and tests use them.
	User, Password string
	// SystemUser and SystemPassword are of the system account.
	SystemUser, SystemPassword string
}

func (s *Stack) describeNATS(set tools.Set, port, monitor, leafs int) error {
	dir, err := s.folder("nats")
	if err != nil {
		return err
	}
	if s.natsCertificate, err = s.Authority.Issue("nats", "127.0.0.1", "localhost"); err != nil {
		return err
	}
	s.NATSAccess = NATSAccess{
		TLSURL: "tls://" + loopback(port), CA: s.Authority.CA, URL: "nats://" + loopback(port), MonitorURL: "http://" + loopback(monitor),
		Logins: map[string]Login{}, User: "twinreel", Password: secret(16), SystemUser: "system", SystemPassword: secret(16),
	}
	for _, user := range natsserver.Users() {
		s.NATSAccess.Logins[user] = Login{user, secret(16)}
	}
	s.natsConf = natsConf{name: "local", dir: dir, port: port, monitor: monitor, certificate: s.natsCertificate, access: s.NATSAccess, domain: testenv.Domain, leafs: leafs}
	if err := s.Sync(true); err != nil {
		return err
	}
	s.NATS = &Server{
		Name: "nats-server", Addr: loopback(port),
		spec: process.Spec{
			Name: "nats-server", Path: set.NATS, Args: []string{"-c", s.natsConf.file()}, Env: os.Environ(),
			Log: filepath.Join(s.Dir, "nats.log"),
		},
		ready: answers(s.NATSAccess.MonitorURL+"/healthz", http.StatusOK),
	}
	return nil
}

// Sync makes the NATS server, from its next start on, sync every write to disk, as it always does unless told otherwise, or
// leave that to the system, which is quicker where much has to be filled in before anything is measured.
func (s *Stack) Sync(every bool) error {
	s.natsConf.sync = "always"
	if !every {
		s.natsConf.sync = "2m"
	}
	return s.natsConf.write()
}

// answers returns a check that passes once a GET of url is answered with the status, or with any where status is 0.
func answers(url string, status int) func(context.Context) error {
	return answersTo(http.DefaultClient, url, status)
}

func answersTo(client *http.Client, url string, status int) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
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
