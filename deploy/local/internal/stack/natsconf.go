package stack

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/deploy/local/natsserver"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// testAccounts is how many accounts tests share among each other.
const testAccounts = 40

// natsConf is what a NATS server's configuration is made of: one account for the programs, one for the system, and one
// JetStream world for each group of tests, with the same users under the account's name.
type natsConf struct {
	name, dir     string
	port, monitor int
	sync          string // when writes are synced to disk
	certificate   Pair
	access        NATSAccess
	domain        string // of its JetStream, "" for none
	leafs         int    // port for other regions' servers; 0: none
	region        *Login // of a peer region's servers, nil for none
	more          string // lines of its own
}

func (c natsConf) file() string { return filepath.Join(c.dir, "nats.conf") }

// write puts the configuration, and the permissions that it includes, into the server's folder.
func (c natsConf) write() error {
	err := os.WriteFile(filepath.Join(c.dir, natsserver.File), []byte(natsserver.Permissions), 0o600)
	if err == nil && c.region != nil {
		err = os.WriteFile(filepath.Join(c.dir, natsserver.RegionFile), []byte(natsserver.RegionPermissions), 0o600)
	}
	if err == nil {
		err = os.WriteFile(c.file(), []byte(c.text()), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the NATS server's configuration: %w", err)
	}
	return nil
}

func (c natsConf) text() string {
	a := c.access
	var b strings.Builder
	fmt.Fprintf(&b, "include %q\nserver_name: %s\nlisten: %q\nhttp: %q\n%s", natsserver.File, c.name, loopback(c.port), loopback(c.monitor), c.more)
	// Accounts reserve what their streams may grow to, and there are many of them: the sum is far beyond this disk.
	if c.leafs != 0 {
		fmt.Fprintf(&b, "leafnodes { listen: %q }\n", loopback(c.leafs))
	}
	if c.region != nil {
		fmt.Fprintf(&b, "include %q\n", natsserver.RegionFile)
	}
	domain := ""
	if c.domain != "" {
		domain = ", domain: " + c.domain
	}
	fmt.Fprintf(&b, "jetstream { store_dir: %q, sync_interval: %q, max_file_store: 1TB, max_memory_store: 1GB%s }\n", c.dir, c.sync, domain)
	// Whose address says tls gets TLS; tests of single packages do without, which no server in production should allow.
	fmt.Fprintf(&b, "tls { cert_file: %q, key_file: %q, timeout: 5 }\nallow_non_tls: true\n", c.certificate.Cert, c.certificate.Key)
	fmt.Fprintf(&b, "system_account: SYS\naccounts {\n  SYS: { users: [{user: %s, password: %q}] }\n", a.SystemUser, a.SystemPassword)
	programs := maps.Clone(a.Logins)
	if c.region != nil {
		programs[natsserver.Region] = *c.region
	}
	account(&b, "TWINREEL", Login{a.User, a.Password}, programs)
	for n := 1; n <= testAccounts; n++ {
		w := testAccess(a, n)
		account(&b, w.User, Login{w.User, w.Password}, w.Logins)
	}
	b.WriteString("}\n")
	return b.String()
}

// account writes one account with its users: one that may do everything, and one for each program.
func account(b *strings.Builder, name string, all Login, programs map[string]Login) {
	fmt.Fprintf(b, "  %s: { jetstream: enabled, users: [\n    {user: %s, password: %q}\n", name, all.User, all.Password)
	for _, program := range slices.Sorted(maps.Keys(programs)) {
		l := programs[program]
		fmt.Fprintf(b, "    {user: %s, password: %q, permissions: $%s}\n", l.User, l.Password, natsserver.Variable(program))
	}
	b.WriteString("  ] }\n")
}

// testAccess is how to reach the test account of that number on the same server.
func testAccess(a NATSAccess, n int) NATSAccess {
	a.User, a.Password = fmt.Sprintf("test%02d", n), testenv.NATSPassword
	a.Logins = map[string]Login{}
	for _, program := range natsserver.Users() {
		a.Logins[program] = Login{a.User + "-" + program, testenv.NATSPassword}
	}
	return a
}
