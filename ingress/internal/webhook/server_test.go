package webhook

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// writePair writes a fresh certificate of that name, and its key.
func writePair(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	put := func(file, kind string, b []byte) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return put("cert.pem", "CERTIFICATE", der), put("key.pem", "PRIVATE KEY", pkcs8)
}

// serving runs Serve until the test ends, and returns its address, a way to stop it, and its result.
func serving(drain context.Context, t *testing.T, h http.Handler, certs *Certificates) (string, func(), <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, drain, l, h, certs, zap.NewNop()) }()
	return l.Addr().String(), stop, ended
}

func TestARenewedCertificateIsServedWithoutRestart(t *testing.T) {
	dir := t.TempDir()
	cert, key := writePair(t, dir, "first")
	now := time.Unix(0, 0)
	core, logs := observer.New(zap.WarnLevel)
	certs, err := NewCertificates(cert, key, func() time.Time { return now }, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	addr, _, _ := serving(t.Context(), t, http.NotFoundHandler(), certs)
	served := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // the test looks at the name itself
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := served(); got != "first" {
		t.Errorf("got %q", got)
	}
	writePair(t, dir, "second")
	now = now.Add(certificatesAge)
	if got := served(); got != "second" {
		t.Errorf("after the renewal: got %q", got)
	}
	if err := os.WriteFile(cert, []byte("half a f"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		now = now.Add(certificatesAge)
		if got := served(); got != "second" {
			t.Errorf("with a broken file: got %q", got)
		}
	}
	if logs.Len() != 1 {
		t.Errorf("%d warnings for one change", logs.Len())
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	cert, key := writePair(t, t.TempDir(), "x")
	certs, err := NewCertificates(cert, key, time.Now, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	addr, _, _ := serving(t.Context(), t, http.NotFoundHandler(), certs)
	if conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 was taken")
	}
}

func TestAStopFinishesWhatIsUnderWay(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	addr, stop, ended := serving(t.Context(), t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "stored")
	}), nil)
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + addr)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer func() { _ = resp.Body.Close() }()
		b, _ := io.ReadAll(resp.Body)
		answer <- string(b)
	}()
	<-entered
	stop()
	close(release)
	if got := <-answer; got != "stored" {
		t.Errorf("got %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("got %v", err)
	}
}

func TestAStopGivesUpWhenTheDrainEnds(t *testing.T) {
	drain, giveUp := context.WithCancel(t.Context())
	entered := make(chan struct{})
	addr, stop, ended := serving(drain, t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}), nil)
	go func() {
		if resp, err := http.Get("http://" + addr); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-entered
	stop()
	giveUp()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "end of the drain time-out") {
		t.Errorf("got %v", err)
	}
}

func TestAHeaderThatIsTooLongIsRefused(t *testing.T) {
	addr, _, _ := serving(t.Context(), t, http.NotFoundHandler(), nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Much", strings.Repeat("a", 2*maxHeader))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d", resp.StatusCode)
	}
}

func TestAPanicIsOneLogLineWithoutItsStack(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	_, _ = quiet(zap.New(core)).Writer().Write([]byte("http: panic serving 127.0.0.1: boom https://cdn.example/x?sig=1\ngoroutine 7 [running]:\n"))
	if l := logs.All(); len(l) != 1 || l[0].ContextMap()["error"] != "http: panic serving 127.0.0.1: boom <cdn.example>" {
		t.Errorf("got %v", l)
	}
}
