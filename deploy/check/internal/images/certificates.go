package images

import (
	"bytes"
	"encoding/pem"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Certificates are those of the public authorities that the stores' and sources' certificates come from, as PEM: Mozilla's,
// by way of a Go module, so that the same commit has the same ones. Those that may be trusted for a part only are left out:
// a file of PEM cannot say so.
func Certificates() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a bytes.Buffer takes all
	}
	return out.Bytes()
}
