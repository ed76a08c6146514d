// Package evidence writes what can be proven of one recording into one file that stands for itself: the sealed leaves, the
// proof that each is in the log, the signed checkpoints, the public key, what both stores answered, and how to check all of
// that with tools that everybody has.
package evidence

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/x509"
	_ "embed" // of what tells how to check
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/reconciler/internal/audit"
	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
)

//go:embed README.txt
var readme []byte

//go:embed check.py
var check []byte

// Evidence is what the file holds.
type Evidence struct {
	Record  Record
	Answers []Answer // of the stores
	Found   []audit.Found
	Proofs  [][]tlog.RecordProof // of each Found's leaves
	Keys    []string             // the public key of each Found; "" where it is not known: then no signature can be checked
	Made    time.Time
}

// Gather proves every leaf of the recording.
func Gather(ctx context.Context, found []audit.Found) ([][]tlog.RecordProof, error) {
	var out [][]tlog.RecordProof
	for _, f := range found {
		p, err := f.Prove(ctx, f.Leaves)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// proof is a proof as it stands in the file.
type proof struct {
	Leaf   int64       `json:"leaf"`   // its index
	Size   int64       `json:"size"`   // of the tree
	Hashes []tlog.Hash `json:"hashes"` // from the leaf's sibling upwards (RFC 6962 2.1.1), base64
}

// Write writes the file, a ZIP archive.
func (e Evidence) Write(to io.Writer) error {
	z := zip.NewWriter(to)
	add := func(name string, body []byte) error {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: e.Made.UTC()})
		if err == nil {
			_, err = w.Write(body)
		}
		if err != nil {
			return fmt.Errorf("write %s into the evidence: %w", name, err)
		}
		return nil
	}
	files, err := e.files()
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := add(f.name, f.body); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("write the evidence: %w", err)
	}
	return nil
}

// file is one file of the archive.
type file struct {
	name string
	body []byte
}

func (e Evidence) files() ([]file, error) {
	out := []file{{"README.txt", readme}, {"check.py", check}}
	record, err := indented(e.Record)
	if err != nil {
		return nil, err
	}
	answers, err := indented(e.Answers)
	if err != nil {
		return nil, err
	}
	out = append(out, file{"record.json", record}, file{"stores.json", answers})
	for i, f := range e.Found {
		dir := string(f.Epoch) + "/"
		body, sig, err := split(f.Note)
		if err != nil {
			return nil, err
		}
		out = append(out, file{dir + "checkpoint", f.Note}, file{dir + "checkpoint.body", body}, file{dir + "checkpoint.sig", sig})
		if key := e.Keys[i]; key != "" {
			public, err := publicPEM(key)
			if err != nil {
				return nil, err
			}
			out = append(out, file{dir + "verifier-key.txt", []byte(key + "\n")}, file{dir + "key.pem", public})
		}
		for j, one := range f.Leaves {
			p, err := indented(proof{one.Index, f.Size, e.Proofs[i][j]})
			if err != nil {
				return nil, err
			}
			out = append(out, file{fmt.Sprintf("%sleaf-%012d.json", dir, one.Index), one.Line}, file{fmt.Sprintf("%sproof-%012d.json", dir, one.Index), p})
		}
	}
	return out, nil
}

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode the evidence: %w", err)
	}
	return b.Bytes(), nil
}

// split returns what is signed in a note, and the bare signature of 64 bytes.
func split(note []byte) (body, sig []byte, err error) {
	text, signed, found := strings.Cut(string(note), "\n\n")
	words := strings.Fields(signed)
	if !found || len(words) != 3 {
		return nil, nil, fmt.Errorf("checkpoint: no signed note")
	}
	raw, err := base64.StdEncoding.DecodeString(words[2])
	if err != nil || len(raw) != 4+64 {
		return nil, nil, fmt.Errorf("checkpoint: no Ed25519 signature")
	}
	return []byte(text + "\n"), raw[4:], nil // before it: which key
}

// publicPEM returns a verifier key as other tools read public keys.
func publicPEM(verifier string) ([]byte, error) {
	key, err := checkpoint.Ed25519(verifier)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
