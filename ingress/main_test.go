package main_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/ingress/internal/config"
	"github.com/twinreel/twinreel/pkg/service"
	"github.com/twinreel/twinreel/pkg/testenv"
)

func TestBadSettingsAreToldAllAtOnce(t *testing.T) {
	sources := filepath.Join(t.TempDir(), "sources.yaml")
	write(t, sources, "sources:\n  - {name: emea, secrets: [a], scheme: md5}\n")
	p := launch(t, "TWINREEL_MAX_BODY_BYTES=lots", "TWINREEL_WEBHOOK_SCHEME=none", "TWINREEL_NATS_REPLICAS=2", "TWINREEL_SOURCES_FILE="+sources)
	code, said := p.exit()
	want := `TWINREEL_MAX_BODY_BYTES: want a size such as 1048576, 256KiB, 8MiB or 2GiB, got "lots"
TWINREEL_NATS_REPLICAS: want 1, 3 or 5
TWINREEL_SOURCES_FILE: ` + sources + `: source 1 (emea), field scheme: value must be one of 'hub-sha256', 'standard-webhooks', 'none'
TWINREEL_WEBHOOK_SCHEME: none is taken only together with TWINREEL_ALLOW_UNSIGNED=true
`
	if code != service.ExitUsage || said != want {
		t.Errorf("got code %d\n%s\nwant\n%s", code, said, want)
	}
}

func TestAListenAddressInUseIsSaid(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	p := launch(t, "TWINREEL_WEBHOOK_SECRET=a", "TWINREEL_ADMIN_ADDR=127.0.0.1:0", "TWINREEL_LISTEN_ADDR="+l.Addr().String())
	if code, said := p.exit(); code != service.ExitFailed || !strings.Contains(said, "(TWINREEL_LISTEN_ADDR): the address is in use") {
		t.Errorf("got code %d\n%s", code, said)
	}
}

func TestUnsignedWebhooksAreTakenWithAWarningEverywhere(t *testing.T) {
	provisioned(t, "test20")
	p := run(t, testenv.Need(t, testenv.NATSURL), "test20", "TWINREEL_WEBHOOK_SCHEME=none", "TWINREEL_ALLOW_UNSIGNED=true").ready()
	if a := p.send(http.MethodPost, defaultPath, []byte(body("rec-1", "")), "Content-Type", "application/json"); a.Code != "accepted" {
		t.Errorf("got %d %s", a.status, a.Code)
	}
	if _, ready := p.get("/readyz"); !strings.Contains(ready, `{"name":"signatures","ok":false,"decides":false,"detail":"webhooks are taken without a signature from: default"}`) {
		t.Errorf("readyz: %s", ready)
	}
	if _, metrics := p.get("/metrics"); !strings.Contains(metrics, `twinreel_unsigned{source="default"} 1`) ||
		!strings.Contains(metrics, `twinreel_webhooks_total{code="accepted",source="default"} 1`) {
		t.Error("metrics do not say so")
	}
	if !regexp.MustCompile(`"level":"warn",.*"msg":"webhooks are taken without a signature`).MatchString(p.log()) {
		t.Error("the log does not say so")
	}
}

func TestFurtherSourcesSignTheirOwnWay(t *testing.T) {
	js := provisioned(t, "test20")
	sources := filepath.Join(t.TempDir(), "sources.yaml")
	write(t, sources, "sources:\n  - {name: emea, scheme: standard-webhooks, secrets: [whsec_c2Vjb25k]}\n")
	p := run(t, testenv.Need(t, testenv.NATSURL), "test20", "TWINREEL_SOURCES_FILE="+sources).ready()
	sent, stamp := body("rec-1", ""), strconv.FormatInt(time.Now().Unix(), 10)
	m := hmac.New(sha256.New, []byte("second"))
	m.Write([]byte("msg-1." + stamp + "." + sent))
	headers := []string{
		"Content-Type", "application/json", "webhook-id", "msg-1", "webhook-timestamp", stamp,
		"webhook-signature", "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil)),
	}
	if a := p.send(http.MethodPost, "/api/v1/webhooks/emea", []byte(sent), headers...); a.Code != "accepted" || a.Key != "emea/rec-1" {
		t.Errorf("got %d %+v", a.status, a)
	}
	if a := p.send(http.MethodPost, defaultPath, []byte(sent), headers...); a.status != 401 {
		t.Errorf("one source's signature at another: got %d", a.status)
	}
	if a := p.webhook(sent); a.Code != "accepted" || a.Key != "rec-1" {
		t.Errorf("the same recording ID of the default source is another recording: got %d %+v", a.status, a)
	}
	if n := stored(t, js); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestWebhooksAreTakenByTLS(t *testing.T) {
	provisioned(t, "test20")
	cert, key := pair(t)
	p := run(t, testenv.Need(t, testenv.NATSURL), "test20", "TWINREEL_TLS_CERT_FILE="+cert, "TWINREEL_TLS_KEY_FILE="+key).ready()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	sent := body("rec-1", "")
	a, err := p.try(client, http.MethodPost, defaultPath, []byte(sent), signed(webhookSecret, sent)...)
	if err != nil || a.Code != "accepted" {
		t.Errorf("got %+v, %v", a, err)
	}
	if !strings.HasPrefix(p.url, "https://") {
		t.Errorf("listens at %s", p.url)
	}
}

func TestASlowSenderIsCut(t *testing.T) {
	t.Parallel() // it waits for the program's own time-out, and needs no stream
	p := run(t, "nats://127.0.0.1:1", "nobody")
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "POST "+defaultPath+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	_ = conn.SetReadDeadline(time.Now().Add(2 * patience))
	b, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(b, []byte("HTTP/1.1 408 ")) {
		t.Errorf("got %v %s", err, b)
	}
	p.stop()
}

func TestTheReadmesSettingsAreCurrent(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	if err := service.WriteSettings(&want, "table", &config.Config{}); err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "<!-- settings:begin -->\n")
	got, _, closed := strings.Cut(rest, "<!-- settings:end -->")
	if !ok || !closed || got != want.String() {
		t.Errorf("put what `ingress --settings` prints between the markers in README.md:\n%s", want.String())
	}
}

// pair writes a certificate for this host and its key.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	c := s.TLS.Certificates[0]
	private, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name, kind string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		write(t, path, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})))
		return path
	}
	return put("cert.pem", "CERTIFICATE", c.Certificate[0]), put("key.pem", "PRIVATE KEY", private)
}
