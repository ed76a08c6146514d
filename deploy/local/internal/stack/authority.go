package stack

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority is the stack's own certificate authority. Whoever is to trust the servers is given CA, and nothing else.
type Authority struct {
	// CA is the file of its certificate (PEM).
	CA string

	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// Pair is a certificate and its private key, each a file (PEM).
type Pair struct{ Cert, Key string }

// certificateLife covers the longest run of a stack, and clocks that are wrong.
const certificateLife = 30 * 24 * time.Hour

// newAuthority makes an authority that keeps its files in dir.
func newAuthority(dir string) (*Authority, error) {
	a := &Authority{CA: filepath.Join(dir, "ca.pem"), dir: dir}
	t := template("Twinreel's local stack")
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := a.sign(t)
	if err != nil {
		return nil, fmt.Errorf("make a certificate authority: %w", err)
	}
	return a, writePEM(a.CA, "CERTIFICATE", der)
}

// Roots are for a client that is to trust the servers.
func (a *Authority) Roots() (*x509.CertPool, error) {
	text, err := os.ReadFile(a.CA)
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool, nil
}

// Issue makes a certificate for a server that is reached by those names and addresses.
func (a *Authority) Issue(name string, hosts ...string) (Pair, error) {
	t := template(name)
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make the key of %s: %w", name, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("make the certificate of %s: %w", name, err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("make the key of %s: %w", name, err)
	}
	p := Pair{Cert: filepath.Join(a.dir, name+".pem"), Key: filepath.Join(a.dir, name+".key")}
	if err := writePEM(p.Cert, "CERTIFICATE", der); err != nil {
		return Pair{}, err
	}
	return p, writePEM(p.Key, "PRIVATE KEY", private)
}

// sign makes the authority's own key, and its certificate by it.
func (a *Authority) sign(t *x509.Certificate) (der []byte, err error) {
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if der, err = x509.CreateCertificate(rand.Reader, t, t, a.key.Public(), a.key); err != nil {
		return nil, err
	}
	a.cert, err = x509.ParseCertificate(der)
	return der, err
}

func template(name string) *x509.Certificate {
	serial := new(big.Int).SetBytes([]byte(rand.Text()))
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial.Rsh(serial, 96), // 20 bytes are the most there may be
		Subject:      pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
	}
}

func writePEM(file, kind string, der []byte) error {
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("write a certificate: %w", err)
	}
	return nil
}
