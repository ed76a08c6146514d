package kubernetes

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
	"github.com/twinreel/twinreel/deploy/check/internal/tools"
)

// servers is how many NATS servers a region has.
const servers = 3

// bed are the NATS servers of two regions as their values describe them, on loopback addresses: each server has one of its own,
// and all the same ports.
type bed struct {
	*testing.T
	certificates string // folder: tls.crt, tls.key, ca.crt
	ports        struct{ clients, routes, monitor, leafs string }
}

// host is a server's address; region is 0 or 1.
func host(region, n int) string { return fmt.Sprintf("127.0.%d.%d", region+1, n+1) }

// given the values of two regions, when servers run by them, then provision makes the mirrors, and what either region takes comes
// over as a mirror and in no other way.
func TestWhatTheValuesSayJoinsTwoRegions(t *testing.T) {
	b := &bed{T: t, certificates: t.TempDir()}
	b.certify()
	for _, p := range []*string{&b.ports.clients, &b.ports.routes, &b.ports.monitor, &b.ports.leafs} {
		*p = b.free()
	}
	overlays, domains := Regions(), [2]string{}
	for i, overlay := range overlays {
		for n := range servers {
			values := valuesOf(t, readValues(t, "production"), readValues(t, overlay))
			domains[i] = at(values, "config.jetstream.merge.domain")
			b.start(i, n, values)
		}
	}
	for n := range servers {
		b.until("server "+host(1, n)+" has joined", func(ctx context.Context) error { return b.joined(ctx, host(1, n)) })
	}
	for i := range overlays {
		b.until(overlays[i]+" is provisioned", func(ctx context.Context) error { return b.provision(ctx, i, domains[1-i]) })
	}
	for i := range overlays {
		js := b.connect(i, "ingress")
		b.until(overlays[i]+" takes an event", func(ctx context.Context) error {
			_, err := js.Publish(ctx, "recordings.completed.both", []byte("{}"), jetstream.WithMsgID(overlays[i]))
			return err
		})
	}
	for i := range overlays {
		js := b.connect(i, "reconciler")
		b.until("what the other region took has come to "+overlays[i], func(ctx context.Context) error {
			return holds(ctx, js, "RECORDINGS_PEER", 1)
		})
		if err := holds(t.Context(), js, "RECORDINGS", 1); err != nil {
			t.Errorf("%s: %v: something else than the mirror has come over", overlays[i], err)
		}
	}
}

// holds says that a stream does not hold n messages.
func holds(ctx context.Context, js jetstream.JetStream, stream string, n uint64) error {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("%s: %w", stream, err)
	}
	if got := s.CachedInfo().State.Msgs; got != n {
		return fmt.Errorf("%s holds %d messages, want %d", stream, got, n)
	}
	return nil
}

// start starts a server by a region's values, as the chart would write its configuration.
func (b *bed) start(region, n int, values map[string]any) {
	b.Helper()
	dir := b.TempDir()
	for name, of := range map[string]string{
		"permissions.conf": "overlays/production/permissions.conf", "region.conf": "components/region-hub/region.conf",
	} {
		text, err := os.ReadFile(repo.Path(b.T, "deploy", "kubernetes", of))
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, "permissions"), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "permissions", name), text, 0o600)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	file := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(file, b.conf(region, n, dir, values), 0o600); err != nil {
		b.Fatal(err)
	}
	binary, err := tools.NATSServer(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), binary, "-c", file)
	cmd.Env = append(os.Environ(), "JETSTREAM_KEY=key-of-the-disk", "SYS_PASSWORD=password-of-sys", "REGION_PASSWORD=password-of-region",
		"REGION_URL=tls://region:password-of-region@"+host(0, n)+":"+b.ports.leafs)
	for _, user := range users() {
		cmd.Env = append(cmd.Env, strings.ToUpper(strings.ReplaceAll(user, "-", "_"))+"_PASSWORD="+password(user))
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if b.Failed() {
			b.Logf("%s:\n%s", host(region, n), said.String()[max(0, said.Len()-3000):])
		}
	})
}

// users are the programs' users on NATS.
func users() []string {
	return []string{"ingress", "worker-primary", "worker-backup", "reconciler", "provisioner"}
}

func password(user string) string { return "password-of-" + user }

// What the chart does to a value that is to stand without quotes, and where it mounts certificates.
var (
	unquoted  = regexp.MustCompile(`"<< ([^"]*) >>"`)
	mountedAt = regexp.MustCompile(`/etc/nats-(certs/[a-z]+|ca-cert)/`)
)

// conf is the configuration that the chart writes of the values, but for addresses, folders and sizes.
func (b *bed) conf(region, n int, dir string, values map[string]any) []byte {
	b.Helper()
	config := below(values, "config")
	certificate := func(of map[string]any) map[string]any {
		out := map[string]any{"cert_file": b.certificates + "/tls.crt", "key_file": b.certificates + "/tls.key", "ca_file": b.certificates + "/ca.crt"}
		merge(out, below(of, "tls", "merge"))
		return out
	}
	own := host(region, n)
	var routes []string
	for other := range servers {
		routes = append(routes, "tls://"+host(region, other)+":"+b.ports.routes)
	}
	cluster := map[string]any{"name": "nats", "no_advertise": true, "listen": own + ":" + b.ports.routes, "routes": routes, "tls": certificate(below(config, "cluster"))}
	merge(cluster, below(config, "cluster", "merge"))
	js := map[string]any{"store_dir": dir, "max_file_store": "<< 1GB >>"}
	merge(js, below(config, "jetstream", "merge"))
	conf := map[string]any{
		"server_name": fmt.Sprint(at(config, "serverNamePrefix"), "nats-", n), "listen": own + ":" + b.ports.clients, "http": own + ":" + b.ports.monitor,
		"tls": certificate(below(config, "nats")), "cluster": cluster, "jetstream": js,
	}
	if leafs := below(config, "leafnodes"); leafs["enabled"] == true {
		conf["leafnodes"] = map[string]any{"no_advertise": true, "listen": own + ":" + b.ports.leafs, "tls": certificate(leafs)}
	}
	var includes string
	for k, v := range below(config, "merge") {
		if strings.HasSuffix(k, "$include") {
			includes += fmt.Sprintf("include %v\n", v)
			continue
		}
		merge(conf, map[string]any{k: v})
	}
	patches, _ := config["patch"].([]any)
	for _, p := range patches {
		// The one kind of patch that there is: checkRegionValues sees to it.
		account := below(conf, "accounts", "TWINREEL")
		list, _ := account["users"].([]any)
		one, _ := p.(map[string]any)
		account["users"] = append(list[:len(list):len(list)], one["value"])
	}
	text, err := json.MarshalIndent(conf, "", "  ")
	if err != nil {
		b.Fatal(err)
	}
	text = []byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(text)))
	text = unquoted.ReplaceAll(text, []byte("$1"))
	text = mountedAt.ReplaceAll(text, []byte(b.certificates+"/"))
	return append([]byte(includes), text[2:len(text)-1]...)
}

// below is the map at a way of keys, an empty one where there is none.
func below(m map[string]any, keys ...string) map[string]any {
	for _, k := range keys {
		m, _ = m[k].(map[string]any)
	}
	if m == nil {
		return map[string]any{}
	}
	return m
}

// joined says that a server has no leaf node connection.
func (b *bed) joined(ctx context.Context, at string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+":"+b.ports.monitor+"/leafz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var leafs struct {
		N int `json:"leafnodes"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&leafs); err != nil {
		return err
	}
	if leafs.N != 1 {
		return fmt.Errorf("it has %d connections to the other region, want 1", leafs.N)
	}
	return nil
}

// provision runs what the Job runs.
func (b *bed) provision(ctx context.Context, region int, peer string) error {
	cmd := exec.CommandContext(ctx, repo.Path(b.T, "bin", "reconciler"), "provision")
	cmd.Env = append(os.Environ(), "TWINREEL_NATS_URL=tls://"+host(region, 0)+":"+b.ports.clients, "TWINREEL_NATS_CA_FILE="+b.certificates+"/ca.crt",
		"TWINREEL_NATS_USER=provisioner", "TWINREEL_NATS_PASSWORD="+password("provisioner"), "TWINREEL_NATS_REPLICAS=3", "TWINREEL_PEER_DOMAIN="+peer,
		"TWINREEL_RECORDINGS_MAX_BYTES=16MiB", "TWINREEL_DLQ_MAX_BYTES=16MiB", "TWINREEL_AUDIT_MAX_BYTES=16MiB")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("reconciler provision: %w\n%s", err, out)
	}
	return nil
}

// connect asks a region's JetStream as a program's user.
func (b *bed) connect(region int, user string) jetstream.JetStream {
	b.Helper()
	nc, err := nats.Connect("tls://"+host(region, 0)+":"+b.ports.clients, nats.UserInfo(user, password(user)), nats.RootCAs(b.certificates+"/ca.crt"),
		nats.CustomInboxPrefix("_INBOX."+user))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	return js
}

// until waits for a condition. Each look at it is given up after a while: a server that has no leader yet answers nothing.
func (b *bed) until(what string, done func(context.Context) error) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		once, end := context.WithTimeout(ctx, 20*time.Second)
		err := done(once)
		end()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			b.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

// free is a port that is free on all addresses.
func (b *bed) free() string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	return port
}

// certify makes one certificate for all servers, and the authority that both regions know.
func (b *bed) certify() {
	b.Helper()
	var all []net.IP
	for region := range 2 {
		for n := range servers {
			all = append(all, net.ParseIP(host(region, n)))
		}
	}
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	key, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(err, err2); err != nil {
		b.Fatal(err)
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: all, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &authority.PublicKey, authority)
	leafDER, err2 := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, authority)
	keyDER, err3 := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(err, err2, err3); err != nil {
		b.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"ca.crt": {Type: "CERTIFICATE", Bytes: rootDER}, "tls.crt": {Type: "CERTIFICATE", Bytes: leafDER}, "tls.key": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(b.certificates, name), pem.EncodeToMemory(block), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(b.certificates, "tls.crt"), filepath.Join(b.certificates, "tls.key")); err != nil {
		b.Fatal(err)
	}
}
