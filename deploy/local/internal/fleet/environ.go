package fleet

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
)

// environ is the whole environment of a program, KEY=value: what a user would set for it, and nothing of the
// environment that this process happens to have but where to find programs and temporary files.
func (f *Fleet) environ(program string, own ...map[string]string) []string {
	login := f.cfg.World.NATS.Logins[program]
	env := map[string]string{
		"PATH": os.Getenv("PATH"),
		// A home of its own, so that no credentials of whoever runs this can be found by any program.
		"HOME":                   filepath.Join(f.cfg.Dir, "home"),
		"TWINREEL_NATS_URL":      f.cfg.World.NATS.TLSURL,
		"TWINREEL_NATS_CA_FILE":  f.cfg.World.NATS.CA,
		"TWINREEL_NATS_USER":     login.User,
		"TWINREEL_NATS_PASSWORD": login.Password,
	}
	if tmp := os.Getenv("TMPDIR"); tmp != "" {
		env["TMPDIR"] = tmp
	}
	for _, more := range f.parts(program) {
		maps.Copy(env, more)
	}
	maps.Copy(env, f.cfg.Env)
	for _, more := range own {
		maps.Copy(env, more)
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, fmt.Sprintf("%s=%s", name, env[name]))
	}
	return out
}

// parts are the groups of variables that a program needs besides NATS.
func (f *Fleet) parts(program string) []map[string]string {
	w := f.cfg.World
	switch program {
	case Ingress:
		return []map[string]string{{"TWINREEL_WEBHOOK_SECRET": f.cfg.WebhookSecret}}
	case WorkerPrimary:
		return []map[string]string{f.redis(), source(), f.s3(), copiesFrom(w.Azure.ServiceURL), {
			"AWS_ACCESS_KEY_ID": w.S3.Writer.Access, "AWS_SECRET_ACCESS_KEY": w.S3.Writer.Secret,
		}}
	case WorkerBackup:
		return []map[string]string{f.redis(), source(), f.azure(), copiesFrom(w.S3.Endpoint), {"TWINREEL_AZURE_SAS_TOKEN": w.Azure.WriterSAS}}
	default:
		return []map[string]string{f.redis(), f.s3(), f.azure(), {
			"AWS_ACCESS_KEY_ID": w.S3.Reader.Access, "AWS_SECRET_ACCESS_KEY": w.S3.Reader.Secret,
			// The account's key, where a real fleet has an identity of its own: a repair needs links to the copy in this store,
			// and no signature can sign a narrower one; the audit log is written below audit/, which no signature can be
			// confined to.
			"TWINREEL_AZURE_ACCOUNT_NAME": w.Azure.Account, "TWINREEL_AZURE_ACCOUNT_KEY": w.Azure.Key,
			"TWINREEL_NATS_MONITOR_URL": w.NATS.MonitorURL,
		}}
	}
}

func (f *Fleet) redis() map[string]string {
	return map[string]string{"TWINREEL_REDIS_URL": f.cfg.World.RedisURL, "TWINREEL_REDIS_PREFIX": f.cfg.World.RedisPrefix}
}

// source lets workers read from this machine: the simulated platform serves plain HTTP on the loopback.
func source() map[string]string {
	return map[string]string{"TWINREEL_SOURCE_ALLOWED_CIDRS": "127.0.0.0/8", "TWINREEL_SOURCE_ALLOW_HTTP": "true"}
}

// copiesFrom lets a worker take, in a redrive, the copy in the sibling's store at that address.
func copiesFrom(store string) map[string]string {
	u, err := url.Parse(store)
	if err != nil {
		return nil // no address that anything could be read from
	}
	return map[string]string{"TWINREEL_COPY_FROM_ORIGINS": u.Scheme + "://" + u.Host}
}

func (f *Fleet) s3() map[string]string {
	a := f.cfg.World.S3
	return map[string]string{
		"TWINREEL_S3_ENDPOINT": a.Endpoint, "TWINREEL_S3_REGION": a.Region, "TWINREEL_S3_BUCKET": a.Bucket,
		"TWINREEL_S3_PATH_STYLE": "true",
	}
}

func (f *Fleet) azure() map[string]string {
	a := f.cfg.World.Azure
	return map[string]string{"TWINREEL_AZURE_SERVICE_URL": a.ServiceURL, "TWINREEL_AZURE_CONTAINER": a.Container}
}
