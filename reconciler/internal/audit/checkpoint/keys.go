package checkpoint

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// ErrSignature is returned for a checkpoint that none of the known keys has signed.
var ErrSignature = errors.New("not signed by a known key")

// Keys sign checkpoints, and tell whose are believed.
type Keys struct {
	signer    note.Signer // nil where there are verifier keys only
	verifiers []note.Verifier
	public    []string
}

// ParseKeys reads keys, one a line. The first private key signs; what any of them signed is believed, so that a key can be
// changed while the log goes on: put the new one first and keep the old one, or its verifier key, behind it.
func ParseKeys(lines []string) (Keys, error) {
	var k Keys
	for i, line := range lines {
		public := line
		if strings.HasPrefix(line, "PRIVATE+KEY+") {
			signer, err := note.NewSigner(line)
			if err != nil {
				return Keys{}, fmt.Errorf("line %d: no private key as made by reconciler audit keygen", i+1)
			}
			if k.signer == nil {
				k.signer = signer
			}
			if public, err = publicOf(line); err != nil {
				return Keys{}, fmt.Errorf("line %d: no private key as made by reconciler audit keygen", i+1)
			}
		}
		v, err := note.NewVerifier(public)
		if err != nil {
			return Keys{}, fmt.Errorf("line %d: no verifier key as made by reconciler audit keygen", i+1)
		}
		k.verifiers, k.public = append(k.verifiers, v), append(k.public, public)
	}
	if len(k.verifiers) == 0 {
		return Keys{}, errors.New("no key; make one by reconciler audit keygen")
	}
	return k, nil
}

// publicOf returns the verifier key of a private key: PRIVATE+KEY+<name>+<hash>+<base64 of algorithm and seed>.
func publicOf(private string) (string, error) {
	parts := strings.SplitN(private, "+", 5)
	if len(parts) != 5 {
		return "", errors.New("no private key")
	}
	b, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(b) != 1+ed25519.SeedSize {
		return "", errors.New("no private key")
	}
	public, ok := ed25519.NewKeyFromSeed(b[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("no private key")
	}
	return note.NewEd25519VerifierKey(parts[2], public)
}

// Any reports whether there is a key at all.
func (k Keys) Any() bool { return len(k.verifiers) > 0 }

// CanSign reports whether there is a private key.
func (k Keys) CanSign() bool { return k.signer != nil }

// Name returns the name of the key that signs, "" if there is none.
func (k Keys) Name() string {
	if k.signer == nil {
		return ""
	}
	return k.signer.Name()
}

// Public returns the verifier keys.
func (k Keys) Public() []string { return k.public }

// Sign returns the checkpoint as a signed note.
func (k Keys) Sign(c Checkpoint) ([]byte, error) {
	if k.signer == nil {
		return nil, errors.New("sign a checkpoint: there is no private key")
	}
	b, err := note.Sign(&note.Note{Text: c.Text()}, k.signer)
	if err != nil {
		return nil, fmt.Errorf("sign a checkpoint: %w", err)
	}
	return b, nil
}

// Open reads a signed note. ErrSignature where none of the keys has signed it.
func (k Keys) Open(b []byte) (Checkpoint, error) {
	n, err := note.Open(b, note.VerifierList(k.verifiers...))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	c, err := ParseText(n.Text)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("signed, but no checkpoint: %w", err)
	}
	if c.Name != n.Sigs[0].Name {
		return Checkpoint{}, fmt.Errorf("%w: it is signed by %q, its origin names %q", ErrSignature, n.Sigs[0].Name, c.Name)
	}
	// Nothing may hide behind the signature: a second one, by an unknown key, would make other bytes of the same word.
	raw, _ := base64.StdEncoding.DecodeString(n.Sigs[0].Base64) // note.Open has decoded it; the same bytes have several texts
	canonical, err := note.Sign(n)
	if err != nil || string(canonical) != string(b) || len(n.Sigs) != 1 || base64.StdEncoding.EncodeToString(raw) != n.Sigs[0].Base64 {
		return Checkpoint{}, fmt.Errorf("%w: it is not written as checkpoints are", ErrSignature)
	}
	return c, nil
}

// Unsigned reads a checkpoint without asking who signed it.
func Unsigned(b []byte) (Checkpoint, error) {
	text, _, found := strings.Cut(string(b), "\n\n")
	if !found {
		return Checkpoint{}, errors.New("no signed note")
	}
	return ParseText(text + "\n")
}

// Ed25519 returns the public key in a verifier key: <name>+<hash>+<base64 of algorithm and key>.
func Ed25519(verifier string) (ed25519.PublicKey, error) {
	parts := strings.SplitN(verifier, "+", 3)
	if len(parts) == 3 {
		if b, err := base64.StdEncoding.DecodeString(parts[2]); err == nil && len(b) == 1+ed25519.PublicKeySize {
			return b[1:], nil
		}
	}
	return nil, errors.New("no verifier key as made by reconciler audit keygen")
}

// Signer returns the verifier key of whoever signed the note, "" if that is none of these.
func (k Keys) Signer(b []byte) string {
	n, err := note.Open(b, note.VerifierList(k.verifiers...))
	if err != nil {
		return ""
	}
	for i, v := range k.verifiers {
		if v.KeyHash() == n.Sigs[0].Hash && v.Name() == n.Sigs[0].Name {
			return k.public[i]
		}
	}
	return ""
}
