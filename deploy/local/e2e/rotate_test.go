package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// rereadWithin is by when a changed file is in use, as the contract has it: so long an operator leaves the old secret valid.
const rereadWithin = 10 * time.Second

// rotation is one secret that is changed while everything runs: first the new one is made, and put into its file, then,
// rereadWithin later, the old one is withdrawn.
type rotation struct {
	name     string
	change   func() (withdraw func() error, err error)
	withdraw func() error
}

// vault is the bed's folder of secrets, each in a file.
type vault struct {
	*bed
	dir    string
	cash   *redis.Client
	signed bool // an Azure token that ends soon is in use
}

// newVault makes a bed whose programs have every secret in a file; start starts them.
func newVault(t *testing.T, seed uint64) *vault {
	b := newBareBed(t, setup{platform: platform.Config{Seed: seed}, bare: true})
	v := &vault{bed: b, dir: t.TempDir()}
	o, err := redis.ParseURL(b.stack.RedisURL)
	b.must(err)
	o.CredentialsProvider = func() (string, string) { return "default", v.read("redis") }
	v.put("redis", rand.Text())
	plain := redis.NewClient(&redis.Options{Addr: o.Addr})
	b.must(plain.Do(t.Context(), "ACL", "SETUSER", "default", "resetpass", ">"+v.read("redis")).Err())
	b.must(plain.Close())
	v.cash = redis.NewClient(o)
	t.Cleanup(func() { _ = v.cash.Close() })

	v.put("webhook", b.secret)
	v.putS3()
	first, err := b.stack.AzureAccess.WriterUntil(time.Now().Add(time.Hour))
	b.must(err)
	v.put("azure", first)
	for _, program := range programs() {
		v.put("nats-"+program, b.stack.NATSAccess.Logins[program].Password)
	}
	return v
}

// start starts the programs, with more variables if need be: by program, name to value.
func (v *vault) start(more map[string]map[string]string) {
	v.t.Helper()
	v.must(v.fleet.Provision(v.t.Context()))
	for _, program := range programs() {
		env := v.env(program)
		maps.Copy(env, more[program])
		p, err := v.fleet.Start(program, env)
		v.must(err)
		switch program {
		case fleet.Ingress:
			v.ingress = p
		case fleet.WorkerPrimary:
			v.primary = p
		case fleet.WorkerBackup:
			v.backup = p
		}
	}
	for _, p := range v.fleet.Programs() {
		v.must(p.Ready(v.t.Context()))
	}
	v.platform.SetIngressURL(v.ingress.URL())
}

func programs() []string { return []string{fleet.Ingress, fleet.WorkerPrimary, fleet.WorkerBackup} }

func (v *vault) file(name string) string { return filepath.Join(v.dir, name) }

// put changes a file as a whole, as whoever mounts secrets does.
func (v *vault) put(name, secret string) {
	v.t.Helper()
	v.must(os.WriteFile(v.file(name)+".new", []byte(secret), 0o600))
	v.must(os.Rename(v.file(name)+".new", v.file(name)))
}

func (v *vault) read(name string) string {
	text, err := os.ReadFile(v.file(name))
	v.should(err)
	return string(text)
}

func (v *vault) putS3() {
	v.t.Helper()
	k := v.stack.S3Access.Writer
	v.put("aws", fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", k.Access, k.Secret))
}

// env takes a program's secrets out of its environment and names their files instead.
func (v *vault) env(program string) map[string]string {
	out := map[string]string{"TWINREEL_NATS_PASSWORD": "", "TWINREEL_NATS_PASSWORD_FILE": v.file("nats-" + program)}
	switch program {
	case fleet.Ingress:
		out["TWINREEL_WEBHOOK_SECRET"], out["TWINREEL_WEBHOOK_SECRET_FILE"] = "", v.file("webhook")
	case fleet.WorkerPrimary:
		out["AWS_ACCESS_KEY_ID"], out["AWS_SECRET_ACCESS_KEY"] = "", ""
		out["AWS_SHARED_CREDENTIALS_FILE"], out["AWS_EC2_METADATA_DISABLED"] = v.file("aws"), "true"
		out["TWINREEL_REDIS_PASSWORD_FILE"] = v.file("redis")
	case fleet.WorkerBackup:
		out["TWINREEL_AZURE_SAS_TOKEN"], out["TWINREEL_AZURE_SAS_TOKEN_FILE"] = "", v.file("azure")
		out["TWINREEL_REDIS_PASSWORD_FILE"] = v.file("redis")
	}
	return out
}

// rotations are all secrets that can be changed with an overlap.
func (v *vault) rotations() []rotation {
	return []rotation{
		{name: "the webhook secret", change: v.webhook},
		{name: "the S3 keys", change: v.s3},
		{name: "the Azure token", change: v.sas},
		{name: "the Redis password", change: v.redis},
		{name: "the NATS passwords", change: v.nats},
	}
}

func (v *vault) webhook() (func() error, error) {
	fresh := rand.Text()
	v.put("webhook", v.secret+"\n"+fresh+"\n")
	return func() error {
		v.platform.SetSecret(fresh)
		v.secret = fresh
		v.put("webhook", fresh)
		return nil
	}, nil
}

func (v *vault) s3() (func() error, error) {
	withdraw, err := v.stack.RotateS3Writer(v.t.Context())
	if err == nil {
		v.putS3()
	}
	return withdraw, err
}

// sas puts one that ends soon at first, so that it is withdrawn by itself when the next one has taken its place.
func (v *vault) sas() (func() error, error) {
	life := time.Hour
	if !v.signed {
		life, v.signed = time.Minute, true
	}
	fresh, err := v.stack.AzureAccess.WriterUntil(time.Now().Add(life))
	if err == nil {
		v.put("azure", fresh)
	}
	return func() error { return nil }, err
}

func (v *vault) redis() (func() error, error) {
	ctx, old, fresh := v.t.Context(), v.read("redis"), rand.Text()
	if err := v.cash.Do(ctx, "ACL", "SETUSER", "default", ">"+fresh).Err(); err != nil {
		return nil, err
	}
	v.put("redis", fresh)
	return func() error {
		if err := v.cash.Do(ctx, "ACL", "SETUSER", "default", "<"+old).Err(); err != nil {
			return err
		}
		return v.cash.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err()
	}, nil
}

// nats has no overlap: a user has one password. The file comes first; the connections stay until the server asks anew.
func (v *vault) nats() (func() error, error) {
	fresh := map[string]string{}
	for _, program := range programs() {
		fresh[program] = rand.Text()
		v.put("nats-"+program, fresh[program])
	}
	return func() error {
		var errs []error
		for _, program := range programs() {
			errs = append(errs, v.stack.SetNATSPassword(v.t.Context(), program, fresh[program]))
		}
		return errors.Join(errs...)
	}, nil
}

// load sends webhooks until it is told to stop, and returns how many recordings were accepted.
func (v *vault) load() (stop func() int) {
	ctx, cancel := context.WithCancel(v.t.Context())
	var mu sync.Mutex
	n := 0
	var senders sync.WaitGroup
	for range 2 {
		senders.Go(func() {
			for i := 1; ctx.Err() == nil; i++ {
				size := int64(40_000)
				if i%10 == 0 {
					size = 9 << 20 // in parts
				}
				r, err := v.platform.Add(platform.Spec{Size: size})
				if err == nil {
					_, err = v.platform.Send(v.t.Context(), r)
				}
				if err != nil {
					v.t.Errorf("a webhook was never taken: %v", err)
					return
				}
				mu.Lock()
				n++
				mu.Unlock()
				v.pause(500 * time.Millisecond)
			}
		})
	}
	return func() int {
		cancel()
		senders.Wait()
		return n
	}
}

// given a whole Twinreel under load, when all its secrets are changed, twice, then every webhook is taken, every recording
// is in both clouds, nothing was given up, nothing denied, and no program was restarted.
func TestEverySecretIsChangedUnderLoad(t *testing.T) {
	t.Parallel()
	v := newVault(t, 61)
	v.start(nil)
	var pids []int
	for _, p := range v.fleet.Programs() {
		pids = append(pids, p.PID())
	}
	stop := v.load()
	for range 2 {
		v.rotate(v.rotations())
	}
	v.should(v.answers(v.secret, http.StatusOK))
	n := stop()
	v.settle()
	v.sound(n)
	v.noLetters()
	for i, p := range v.fleet.Programs() {
		if p.PID() != pids[i] {
			t.Errorf("%s was restarted", p.Name)
		}
	}
	v.well()
	t.Logf("%d recordings", n)
}

// rotate changes all of them at once, and withdraws the old ones when the programs must have read the new.
func (v *vault) rotate(all []rotation) {
	v.t.Helper()
	old := v.secret
	for i := range all {
		var err error
		all[i].withdraw, err = all[i].change()
		if err != nil {
			v.t.Fatalf("change %s: %v", all[i].name, err)
		}
	}
	v.pause(rereadWithin)
	for _, r := range all {
		if err := r.withdraw(); err != nil {
			v.t.Fatalf("withdraw the old one of %s: %v", r.name, err)
		}
	}
	v.eventually(rereadWithin, "the old webhook secret is refused", func(context.Context) error { return v.answers(old, http.StatusUnauthorized) })
	v.pause(rereadWithin) // under load with the new ones alone
}

// well says that every program must be ready, with all its details well.
func (v *vault) well() {
	v.t.Helper()
	for _, p := range v.fleet.Programs() {
		for _, name := range []string{"streams", "nats", "redis", "store"} {
			if p == v.ingress && (name == "redis" || name == "store") {
				continue
			}
			v.eventually(time.Minute, p.Name+" says that all is well with "+name, func(ctx context.Context) error {
				_, ok, detail, err := v.check(ctx, p, name)
				if err == nil && !ok {
					err = errors.New(detail)
				}
				return err
			})
		}
	}
}

// answers posts a webhook that asks for nothing, signed with the secret, and is nil if it is answered so.
func (v *vault) answers(secret string, want int) error {
	body := []byte(`{"event":"RECORDING_STARTED","recordingId":"rec-asked"}`)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.ingress.URL()+"/api/v1/webhooks/recording-complete", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("answered %s, want %d", resp.Status, want)
	}
	return nil
}

// given NATS passwords that are changed at the server, when the programs learn of it only seconds later, then they come
// back by themselves, and what was waiting is done.
func TestANATSPasswordThatIsLateIsNoEnd(t *testing.T) {
	t.Parallel()
	v := newVault(t, 62)
	v.start(nil)
	stop := v.load()
	fresh := map[string]string{}
	for _, program := range programs() {
		fresh[program] = rand.Text()
		v.must(v.stack.SetNATSPassword(t.Context(), program, fresh[program]))
	}
	v.pause(rereadWithin) // every program is refused more than once
	for _, program := range programs() {
		v.put("nats-"+program, fresh[program])
	}
	v.eventually(30*time.Second, "the programs are ready again", func(ctx context.Context) error {
		for _, p := range v.fleet.Programs() {
			if ready, _, err := p.Readyz(ctx); err != nil || !ready {
				return fmt.Errorf("%s is not ready (%v)", p.Name, err)
			}
		}
		return nil
	})
	v.pause(rereadWithin)
	n := stop()
	v.settle()
	v.sound(n)
	v.noLetters()
	v.well()
}
