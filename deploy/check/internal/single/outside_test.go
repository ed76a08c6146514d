package single

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// need is the value of a variable that the harness sets; without servers these tests fail.
func need(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv("TWINREEL_TEST_" + name)
	if v == "" {
		t.Fatalf("TWINREEL_TEST_%s is not set: run this by make deploy-check, or bin/local with-servers -- go test", name)
	}
	return v
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// writerSAS signs what a worker may do in the container: read, create, write and tag blobs; not delete.
func writerSAS(t *testing.T) string {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(need(t, "AZURE_ACCOUNT_KEY"))
	if err != nil {
		t.Fatal(err)
	}
	const version, rights = "2022-11-02", "rcwt"
	end := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	resource := "/blob/" + need(t, "AZURE_ACCOUNT_NAME") + "/" + need(t, "AZURE_CONTAINER")
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, strings.Join([]string{rights, "", end, resource, "", "", "https,http", version, "c", "", "", "", "", "", "", ""}, "\n"))
	return url.Values{
		"sv": {version}, "sr": {"c"}, "sp": {rights}, "se": {end}, "spr": {"https,http"}, "sig": {base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}.Encode()
}

// certificate makes a certificate for this machine, and returns its file, its key's file, and who trusts it.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key, pool = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool.AppendCertsFromPEM(public)
	if err := os.WriteFile(cert, public, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		t.Fatal(err)
	}
	return cert, key, pool
}

// platform is a contact-centre platform: it serves recordings, counts who fetches them, and sends webhooks.
type platform struct {
	t      *testing.T
	server *httptest.Server
	client *http.Client
	url    string
	secret []byte

	mu      sync.Mutex
	fetches map[string]int
}

func newPlatform(t *testing.T, root, port string, pool *x509.CertPool) *platform {
	t.Helper()
	secret, err := os.ReadFile(filepath.Join(root, "etc", "twinreel", "credentials", "webhook-secret"))
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{
		t: t, url: "https://localhost:" + port + "/api/v1/webhooks/recording-complete", secret: bytes.TrimSpace(secret), fetches: map[string]int{},
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}},
	}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := strings.TrimPrefix(r.URL.Path, "/")
		p.mu.Lock()
		p.fetches[id]++
		p.mu.Unlock()
		media := wave(id)
		w.Header().Set("Content-Type", "audio/wav")
		w.Header().Set("Content-Length", strconv.Itoa(len(media))) // without it nobody could tell a whole recording from a cut one
		_, _ = w.Write(media)                                      // who hangs up is found by his own length
	}))
	t.Cleanup(p.server.Close)
	return p
}

// wave is a recording: a header, and samples that tell it from others.
func wave(id string) []byte {
	const samples = 32 << 10
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00")
	binary.LittleEndian.PutUint32(b[4:], 36+samples)
	binary.LittleEndian.PutUint32(b[40:], samples)
	return append(b, bytes.Repeat([]byte(id), samples/len(id)+1)[:samples]...)
}

func (p *platform) fetched(id string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches[id]
}

// send sends the webhook of a recording until it is answered 200.
func (p *platform) send(id string) {
	p.t.Helper()
	body, err := json.Marshal(map[string]any{
		"event": "RECORDING_COMPLETED", "recordingId": id, "mediaFormat": "wav", "duration": 2, "participants": []any{}, "mediaUrl": p.server.URL + "/" + id,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	mac := hmac.New(sha256.New, p.secret)
	_, _ = mac.Write(body)
	await(p.t, "the webhook of "+id, func() error {
		req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		resp, err := p.client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("answered %s: %s, %w", resp.Status, text, err)
		}
		return nil
	})
}
