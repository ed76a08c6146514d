package cli

import (
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

func TestKeygenMakesAPairThatSignsAndVerifies(t *testing.T) {
	r := runWith(t, nil, "audit", "keygen", "--name", "audit.example.com", "-o", "json")
	pair := decode[keyPair](t, r.stdout)
	signer, err := note.NewSigner(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(pair.VerifierKey)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: "checkpoint\n"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil || verifier.Name() != "audit.example.com" || pair.Name != verifier.Name() {
		t.Errorf("name %q: %v", verifier.Name(), err)
	}
	if r.code != 0 || r.stderr != "" {
		t.Errorf("got %+v", r)
	}
}

func TestKeygenMakesAnotherKeyEachTime(t *testing.T) {
	one, two := runWith(t, nil, "audit", "keygen"), runWith(t, nil, "audit", "keygen")
	if one.stdout == two.stdout || !strings.Contains(one.stdout, "PRIVATE+KEY+twinreel+") || !strings.Contains(one.stdout, "TWINREEL_AUDIT_KEY") {
		t.Errorf("got %s and %s", one.stdout, two.stdout)
	}
}

func TestKeygenRefusesNamesThatNoSignatureCanHold(t *testing.T) {
	for _, name := range []string{"", "a b", "a+b", "a\nb", "a\x00"} {
		if r := runWith(t, nil, "audit", "keygen", "--name", name); r.code != 2 || r.stdout != "" {
			t.Errorf("%q: got %+v", name, r)
		}
	}
}
