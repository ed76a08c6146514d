package single

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// one returns what the only match of an expression with one group is in a text.
func one(text, expression string) (string, error) {
	found := regexp.MustCompile(`(?m)^\s*`+expression).FindAllStringSubmatch(text, -1)
	if len(found) != 1 {
		return "", fmt.Errorf("want one line like %s, got %d", expression, len(found))
	}
	return found[0][1], nil
}

// CheckServers looks that NATS and Redis listen where the programs go, on this machine alone, and that what was acknowledged
// is safe with them: synced, encrypted, never evicted.
func CheckServers(t Tree) error {
	var errs []error
	address := map[string]string{}
	for what, f := range map[string]struct{ text, expression string }{
		"nats": {t.NATS, `listen: "(.*)"$`}, "monitor": {t.NATS, `http: "(.*)"$`}, "port": {t.Redis, `port (\d+)$`}, "bind": {t.Redis, `bind (\S+)$`},
		"sync": {t.NATS, `sync_interval: (\S+)$`}, "cipher": {t.NATS, `cipher: (\S+)$`}, "key": {t.NATS, `include "(nats-key\.conf)"$`},
		"store": {t.NATS, `store_dir: (\S+)$`}, "append": {t.Redis, `appendonly (\S+)$`}, "evict": {t.Redis, `maxmemory-policy (\S+)$`},
	} {
		value, err := one(f.text, f.expression)
		address[what] = value
		errs = append(errs, err)
	}
	for what, want := range map[string]string{"sync": "always", "cipher": "aes", "store": "$STATE_DIRECTORY", "append": "yes", "evict": "noeviction"} {
		if address[what] != want {
			errs = append(errs, fmt.Errorf("%s is %q in the server's configuration, want %q", what, address[what], want))
		}
	}
	redis := net.JoinHostPort(address["bind"], address["port"])
	listening := map[string]string{}
	for who, at := range map[string]string{"nats": address["nats"], "monitor": address["monitor"], "redis": redis} {
		errs = append(errs, onlyHere(who, at), apart(listening, who, at))
	}
	for _, s := range Services() {
		env := t.Env[s]
		for name, want := range map[string]string{"TWINREEL_NATS_URL": address["nats"], "TWINREEL_NATS_MONITOR_URL": address["monitor"], "TWINREEL_REDIS_URL": redis} {
			if u, err := url.Parse(env[name]); env[name] != "" && (err != nil || u.Host != want) {
				errs = append(errs, fmt.Errorf("%s: %s is %s, and the server listens on %s", s, name, env[name], want))
			}
		}
		for _, name := range []string{"TWINREEL_ADMIN_ADDR", "TWINREEL_API_ADDR"} {
			if at := env[name]; at != "" {
				errs = append(errs, onlyHere(s, at), apart(listening, s+" "+name, at))
			}
		}
		errs = append(errs, t.checkUser(s, env["TWINREEL_NATS_USER"]))
	}
	return errors.Join(append(errs, apart(listening, "ingress", t.Env["ingress"]["TWINREEL_LISTEN_ADDR"]), t.checkSizes())...)
}

// onlyHere is an error for an address that others than this machine reach.
func onlyHere(who, at string) error {
	host, _, err := net.SplitHostPort(at)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s listens on %q, want an address of this machine alone", who, at)
	}
	return nil
}

// apart is an error for a port that another listens on.
func apart(listening map[string]string, who, at string) error {
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		return fmt.Errorf("%s: address %q: %w", who, at, err)
	}
	if other := listening[port]; other != "" {
		return fmt.Errorf("%s and %s both listen on port %s", who, other, port)
	}
	listening[port] = who
	return nil
}

// checkUser looks that a service is the user on NATS that has its program's permissions.
func (t Tree) checkUser(service, user string) error {
	if program(service) == "" {
		return nil
	}
	want := service
	if service == "provision" {
		want = "provisioner"
	}
	variable := strings.ToUpper(strings.ReplaceAll(want, "-", "_"))
	line := regexp.MustCompile(`\{ user: ` + want + `, +password: \$` + variable + `_PASSWORD, +permissions: \$` + variable + ` \}`)
	if user != want || !line.MatchString(t.NATS) {
		return fmt.Errorf("%s: its user on NATS is %q, want %s, with the permissions $%s in nats.conf", service, user, want, variable)
	}
	return nil
}

// checkSizes looks that doctor holds the streams against the sizes that they are made with, and that the server has room.
func (t Tree) checkSizes() error {
	room, err := one(t.NATS, `max_file_store: (\d+)GB$`)
	if err != nil {
		return err
	}
	left, err := strconv.Atoi(room)
	errs := []error{err}
	for _, name := range []string{"TWINREEL_RECORDINGS_MAX_BYTES", "TWINREEL_DLQ_MAX_BYTES", "TWINREEL_AUDIT_MAX_BYTES"} {
		made, asked := t.Env["provision"][name], t.Env["reconciler"][name]
		if made != asked {
			errs = append(errs, fmt.Errorf("%s is %s in provision.env and %s in reconciler.env", name, made, asked))
		}
		size, err := strconv.Atoi(strings.TrimSuffix(made, "GiB"))
		errs = append(errs, err)
		left -= size
	}
	if left < 1 {
		errs = append(errs, fmt.Errorf("max_file_store is %s GB: the streams leave no room for the buckets", room))
	}
	return errors.Join(errs...)
}

// CheckSigned looks through everything that is laid out for whatever lets webhooks in that nobody signed.
func CheckSigned(t Tree) error {
	loose := regexp.MustCompile(`ALLOW_UNSIGNED|WEBHOOK_SCHEME\s*=\s*"?none`)
	return filepath.WalkDir(filepath.Join(t.Root, "etc"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && loose.Match(text) {
			err = fmt.Errorf("%s lets webhooks in that nobody signed", path)
		}
		return err
	})
}

// Check is all checks of what is laid out.
func Check(t Tree, settings map[string][]repo.Setting) error {
	return errors.Join(CheckRestrictions(t), CheckLife(t), CheckCredentials(t), CheckEnvironment(t, settings), CheckServers(t), CheckSigned(t))
}
