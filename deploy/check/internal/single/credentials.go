package single

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// secretsOf are the variables of a service that name a credential, and which. Whatever is not here it must not have.
func secretsOf(service string) map[string]string {
	return map[string]map[string]string{
		"ingress": {
			"TWINREEL_NATS_PASSWORD_FILE": "nats-ingress", "TWINREEL_WEBHOOK_SECRET_FILE": "webhook-secret",
			"TWINREEL_TLS_CERT_FILE": "tls-cert", "TWINREEL_TLS_KEY_FILE": "tls-key",
		},
		"worker-primary": {
			"TWINREEL_NATS_PASSWORD_FILE": "nats-worker-primary", "TWINREEL_REDIS_PASSWORD_FILE": "redis-password",
			"AWS_SHARED_CREDENTIALS_FILE": "s3-worker-primary",
		},
		"worker-backup": {
			"TWINREEL_NATS_PASSWORD_FILE": "nats-worker-backup", "TWINREEL_REDIS_PASSWORD_FILE": "redis-password",
			"TWINREEL_AZURE_SAS_TOKEN_FILE": "azure-worker-backup",
		},
		"reconciler": {
			"TWINREEL_NATS_PASSWORD_FILE": "nats-reconciler", "TWINREEL_REDIS_PASSWORD_FILE": "redis-password",
			"AWS_SHARED_CREDENTIALS_FILE": "s3-reconciler", "TWINREEL_AZURE_ACCOUNT_KEY_FILE": "azure-reconciler",
			"TWINREEL_AUDIT_KEY_FILE": "audit-key",
		},
		"provision": {"TWINREEL_NATS_PASSWORD_FILE": "nats-provisioner"},
	}[service]
}

// filesOf are the credentials of a service that reads them as its configuration.
func filesOf(service string) []string {
	switch service {
	case "nats":
		return []string{"nats.conf", "permissions.conf", "nats-passwords.conf", "nats-key.conf"}
	case "redis":
		return []string{"redis-auth.conf"}
	}
	return nil
}

// public are the credentials that are no secrets: configuration that has to lie beside what is secret.
func public(name string) bool { return name == "nats.conf" || name == "permissions.conf" }

var credentialUsed = regexp.MustCompile(`(?:%d|\$\{CREDENTIALS_DIRECTORY\})/(\S+)`)

// CheckCredentials looks that each service loads just the credentials that it needs, under the variables that it knows them
// by, from files that only root may read.
func CheckCredentials(t Tree) error {
	var errs []error
	for _, s := range Services() {
		u := t.Units[s]
		var want []string
		env := u.Environment()
		for name, credential := range secretsOf(s) {
			want = append(want, credential)
			if got := env[name]; got != "%d/"+credential {
				errs = append(errs, fmt.Errorf("%s: %s is %q, want %%d/%s", s, name, got, credential))
			}
		}
		want = append(want, filesOf(s)...)
		got := u.Credentials()
		for name, file := range got {
			if !slices.Contains(want, name) {
				errs = append(errs, fmt.Errorf("%s: loads the credential %s, which it has no need of", s, name))
			}
			errs = append(errs, t.checkFile(s, name, file))
		}
		for _, name := range want {
			if got[name] == "" {
				errs = append(errs, fmt.Errorf("%s: does not load the credential %s", s, name))
			}
		}
		for _, line := range append(slices.Clone(u["Service"]["Environment"]), u["Service"]["ExecStart"]...) {
			for _, m := range credentialUsed.FindAllStringSubmatch(line, -1) {
				if got[m[1]] == "" {
					errs = append(errs, fmt.Errorf("%s: names the credential %s, and does not load it", s, m[1]))
				}
			}
		}
		for name := range t.Env[s] {
			if strings.HasSuffix(name, "_FILE") {
				errs = append(errs, fmt.Errorf("%s: %s is in its environment file: files come as credentials, by its unit", s, name))
			}
		}
	}
	return errors.Join(errs...)
}

// checkFile looks at the file that a credential is read from.
func (t Tree) checkFile(service, name, file string) error {
	folder := "/etc/twinreel/credentials"
	if public(name) {
		folder = "/etc/twinreel"
	}
	if file != filepath.Join(folder, name) {
		return fmt.Errorf("%s: reads the credential %s from %s, want %s", service, name, file, filepath.Join(folder, name))
	}
	if public(name) {
		return nil
	}
	for path, most := range map[string]os.FileMode{filepath.Join(t.Root, file): 0o600, filepath.Join(t.Root, folder): 0o700} {
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if info.Mode()&os.ModeSymlink == 0 && info.Mode().Perm()&^most != 0 {
			return fmt.Errorf("%s may be read by others than root: %s", path, info.Mode())
		}
	}
	return nil
}
