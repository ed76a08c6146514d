package single

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// given a fresh install, when systemd's analyzer and every check look at it, then nothing is amiss.
func TestWhatIsLaidOutPassesEveryCheck(t *testing.T) {
	root := stage(t, answers())
	if err := Verify(t.Context(), root); err != nil {
		t.Error(err)
	}
	if err := Check(load(t, root), settings(t)); err != nil {
		t.Error(err)
	}
	const bound = 20 // tenths; the analyzer calls up to 49 "OK" and an ordinary service has 96
	for _, s := range Services() {
		if err := Exposure(t.Context(), root, s, bound); err != nil {
			t.Error(err)
		}
	}
}

// damage is one thing broken in what was laid out, and a word of what must be said about it.
type damage struct {
	file, old, put string
	says           string
}

const (
	units     = "etc/systemd/system/"
	hardening = units + "twinreel-.service.d/10-hardening.conf"
	twinreel  = "etc/twinreel/"
)

func damages() map[string]damage {
	return map[string]damage{
		"a restriction is dropped":           {hardening, "NoNewPrivileges=yes\n", "", "NoNewPrivileges"},
		"the bounding set is not empty":      {hardening, "CapabilityBoundingSet=\n", "CapabilityBoundingSet=CAP_SYS_ADMIN\n", "CapabilityBoundingSet"},
		"the bounding set is not set":        {hardening, "CapabilityBoundingSet=\n", "", "CapabilityBoundingSet"},
		"the file system is writable":        {hardening, "ProtectSystem=strict", "ProtectSystem=full", "ProtectSystem"},
		"a call filter is dropped":           {hardening, "SystemCallFilter=~@privileged @resources\n", "", "SystemCallFilter"},
		"one unit loosens it for itself":     {units + "twinreel-ingress.service.d/20-port-443.conf", "PrivateUsers=no", "PrivateUsers=no\nProtectHome=no", "ProtectHome"},
		"two services share a user":          {units + "twinreel-worker-backup.service", "User=twinreel-worker-backup", "User=twinreel-worker-primary", "not its own"},
		"a service may not come back":        {units + "twinreel-worker-backup.service", "Restart=always", "Restart=no", "Restart"},
		"it gives up coming back":            {hardening, "StartLimitIntervalSec=0\n", "", "StartLimitIntervalSec"},
		"killed while it drains":             {units + "twinreel-worker-primary.service", "TimeoutStopSec=40s", "TimeoutStopSec=20s", "drain"},
		"a longer drain than the stop":       {twinreel + "ingress.env", "TWINREEL_DRAIN_TIMEOUT=25s", "TWINREEL_DRAIN_TIMEOUT=45s", "drain"},
		"stopped after its queue":            {units + "twinreel-ingress.service", "twinreel-nats.service ", "", "After=twinreel-nats"},
		"a variable is misnamed":             {twinreel + "worker-primary.env", "TWINREEL_S3_REGION=", "TWINREEL_S3_REGOIN=", "TWINREEL_S3_REGOIN is unknown"},
		"a unit's variable is misnamed":      {units + "twinreel-ingress.service", "TWINREEL_WEBHOOK_SECRET_FILE", "TWINREEL_WEBHOOK_SECRETS_FILE", "TWINREEL_WEBHOOK_SECRET"},
		"a required variable is gone":        {twinreel + "worker-backup.env", "TWINREEL_AZURE_CONTAINER=recordings\n", "", "TWINREEL_AZURE_CONTAINER is not set"},
		"a required variable is empty":       {twinreel + "reconciler.env", "TWINREEL_S3_BUCKET=recordings", "TWINREEL_S3_BUCKET=", "TWINREEL_S3_BUCKET is not set"},
		"a required secret is gone":          {units + "twinreel-reconciler.service", "Environment=TWINREEL_AUDIT_KEY_FILE=%d/audit-key\n", "", "TWINREEL_AUDIT_KEY"},
		"a secret stands open":               {twinreel + "ingress.env", "TWINREEL_NATS_USER=ingress", "TWINREEL_NATS_USER=ingress\nTWINREEL_NATS_PASSWORD=open", "stands open"},
		"a worker gets the other's secret":   {units + "twinreel-worker-backup.service", "LoadCredential=redis-password", "LoadCredential=s3-worker-primary:/etc/twinreel/credentials/s3-worker-primary\nLoadCredential=redis-password", "no need of"},
		"secrets are swapped":                {units + "twinreel-worker-primary.service", "credentials/nats-worker-primary", "credentials/nats-reconciler", "reads the credential"},
		"a variable names another's secret":  {units + "twinreel-reconciler.service", "AWS_SHARED_CREDENTIALS_FILE=%d/s3-reconciler", "AWS_SHARED_CREDENTIALS_FILE=%d/s3-worker-primary", "s3-worker-primary"},
		"a credential is not loaded":         {units + "twinreel-redis.service", "LoadCredential=redis-auth.conf:/etc/twinreel/credentials/redis-auth.conf\n", "", "redis-auth.conf"},
		"webhooks need no signature":         {twinreel + "ingress.env", "TWINREEL_NATS_USER=ingress", "TWINREEL_NATS_USER=ingress\nTWINREEL_ALLOW_UNSIGNED=true", "nobody signed"},
		"NATS listens elsewhere":             {twinreel + "nats.conf", "127.0.0.1:4222", "127.0.0.1:4223", "TWINREEL_NATS_URL"},
		"NATS listens to everybody":          {twinreel + "nats.conf", "127.0.0.1:8222", "0.0.0.0:8222", "this machine alone"},
		"Redis listens elsewhere":            {twinreel + "redis.conf", "port 6379", "port 6380", "TWINREEL_REDIS_URL"},
		"two listen on one port":             {twinreel + "reconciler.env", "127.0.0.1:9094", "127.0.0.1:9093", "both listen"},
		"metrics for everybody":              {twinreel + "ingress.env", "127.0.0.1:9091", "0.0.0.0:9091", "this machine alone"},
		"a program is another's user":        {twinreel + "ingress.env", "TWINREEL_NATS_USER=ingress", "TWINREEL_NATS_USER=reconciler", "its user on NATS"},
		"a user has another's permissions":   {twinreel + "nats.conf", "permissions: $INGRESS ", "permissions: $RECONCILER ", "its user on NATS"},
		"acknowledged before it is synced":   {twinreel + "nats.conf", "sync_interval: always", "sync_interval: 2m", "sync"},
		"the queue is not encrypted":         {twinreel + "nats.conf", "  include \"nats-key.conf\"\n", "", "nats-key"},
		"Redis evicts":                       {twinreel + "redis.conf", "noeviction", "allkeys-lru", "evict"},
		"doctor expects other sizes":         {twinreel + "reconciler.env", "AUDIT_MAX_BYTES=4GiB", "AUDIT_MAX_BYTES=2GiB", "TWINREEL_AUDIT_MAX_BYTES"},
		"streams larger than the server has": {twinreel + "nats.conf", "max_file_store: 24GB", "max_file_store: 15GB", "no room"},
	}
}

// given one thing broken in a copy, when it is checked, then just that is said.
func TestEachDamageIsNoticed(t *testing.T) {
	whole, known := stage(t, answers()), settings(t)
	for name, d := range damages() {
		t.Run(name, func(t *testing.T) {
			root := copyOf(t, whole)
			breakFile(t, filepath.Join(root, d.file), d.old, d.put)
			tree, err := Load(root)
			if err == nil {
				err = Check(tree, known)
			}
			if err == nil || !strings.Contains(err.Error(), d.says) {
				t.Errorf("want an error about %q, got %v", d.says, err)
			}
		})
	}
}

// given a mistake that systemd itself would pass over with a warning, when units are verified, then it is an error.
func TestTheAnalyzersWarningsAreErrors(t *testing.T) {
	whole := stage(t, answers())
	for name, d := range map[string]damage{
		"a misspelt restriction": {hardening, "ProtectHome=yes", "ProtectHomes=yes", "ProtectHomes"},
		"a time that is none":    {units + "twinreel-nats.service", "TimeoutStopSec=60s", "TimeoutStopSec=soon", "soon"},
		"a program that is not":  {units + "twinreel-ingress.service", "current/ingress", "current/ingres", "not executable"},
	} {
		root := copyOf(t, whole)
		breakFile(t, filepath.Join(root, d.file), d.old, d.put)
		if err := Verify(t.Context(), root); err == nil || !strings.Contains(err.Error(), d.says) {
			t.Errorf("%s: want an error about %q, got %v", name, d.says, err)
		}
	}
	root := copyOf(t, whole)
	breakFile(t, filepath.Join(root, hardening), "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n", "")
	if err := Exposure(t.Context(), root, "redis", 20); err == nil {
		t.Error("a service without a call filter is as exposed as one with it")
	}
}

// given a credential that others may read, when it is checked, then that is said.
func TestACredentialThatOthersMayReadIsNoticed(t *testing.T) {
	root := stage(t, answers())
	if err := os.Chmod(filepath.Join(root, "etc", "twinreel", "credentials", "audit-key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := CheckCredentials(load(t, root)); err == nil || !strings.Contains(err.Error(), "audit-key may be read") {
		t.Errorf("got %v", err)
	}
}

// given an installed server, when install runs again, then what an operator changed and every secret stay as they are.
func TestInstallMayBeRepeated(t *testing.T) {
	root, bin := t.TempDir(), binaries(t)
	if out, err := install(t, root, bin, answers()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	breakFile(t, filepath.Join(root, "etc", "twinreel", "ingress.env"), "TWINREEL_LISTEN_ADDR=:443", "TWINREEL_LISTEN_ADDR=:8443")
	breakFile(t, filepath.Join(root, "etc", "twinreel", "nats.conf"), "24GB", "48GB")
	breakFile(t, filepath.Join(root, hardening), "ProtectHome=yes", "ProtectHome=no")
	before := contents(t, filepath.Join(root, "etc", "twinreel"))
	out, err := install(t, root, bin, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	after := contents(t, filepath.Join(root, "etc", "twinreel"))
	for name, text := range before {
		if after[name] != text {
			t.Errorf("%s was changed", name)
		}
	}
	if !strings.Contains(after["nats.conf.new"], "24GB") || !strings.Contains(out, "nats.conf.new") {
		t.Error("this version's nats.conf is not beside the operator's")
	}
	if err := CheckRestrictions(load(t, root)); err != nil {
		t.Errorf("units are Twinreel's and come back: %v", err)
	}
	for _, secret := range []string{"worker&secret|/+", answers()["AZURE_RECONCILER_KEY"]} {
		if strings.Contains(out, secret) {
			t.Error("install says a secret")
		}
	}
}

// given answers that cannot be right, when install runs, then it says which, changes nothing, and repeats no secret.
func TestInstallRefusesWhatCannotBeRight(t *testing.T) {
	bin := binaries(t)
	for name, change := range map[string][2]string{
		"no bucket": {"S3_BUCKET", ""}, "one identity for two": {"S3_RECONCILER_KEY_ID", "AKIAWORKER"},
		"an address without container": {"AZURE_CONTAINER_URL", "https://example.blob.core.windows.net"}, "no host": {"HOST", "s3cret of somebody"},
	} {
		values, root := answers(), t.TempDir()
		values[change[0]] = change[1]
		out, err := install(t, root, bin, values)
		if err == nil || !strings.Contains(out, change[0]) || strings.Contains(out, "s3cret") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if _, err := os.Stat(filepath.Join(root, "opt")); err == nil {
			t.Errorf("%s: programs were laid out", name)
		}
	}
}

// given the install page, when its version of nats-server is compared with the one that all tests run, then it is the same; and
// it asks for no more than twelve values.
func TestTheInstallPageIsTrue(t *testing.T) {
	page, err := os.ReadFile(repo.Path(t, "deploy/single/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "nats-server/v2@" + natsVersion(t); !strings.Contains(string(page), want) {
		t.Errorf("the install page does not build %s", want)
	}
	script, err := os.ReadFile(repo.Path(t, "deploy/single/install"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(script), "\n\task "); n < 1 || n > 12 {
		t.Errorf("install asks for %d values", n)
	}
}

// copyOf copies what was laid out, by hard links: breakFile replaces files, and writes into none.
func copyOf(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "cp", "-al", root+"/.", dir).CombinedOutput(); err != nil {
		t.Fatalf("copy: %v\n%s", err, out)
	}
	return dir
}

// breakFile replaces text in a file; text that is not there is a mistake of the test.
func breakFile(t *testing.T, file, old, put string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s holds no %q to break", file, old)
	}
	if err := os.WriteFile(file+".broken", []byte(strings.Replace(string(text), old, put, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".broken", file); err != nil {
		t.Fatal(err)
	}
}

// contents are the regular files of a folder, by their path in it.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, dir+"/")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
