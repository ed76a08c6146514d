package checkpoint_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/twinreel/twinreel/reconciler/internal/audit/checkpoint"
)

const one = checkpointEpoch + " 7 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

const checkpointEpoch = "20261125T134502.123456789Z"

func pair(t *testing.T, name string) (private, public string) {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}

func keys(t *testing.T, lines ...string) checkpoint.Keys {
	t.Helper()
	k, err := checkpoint.ParseKeys(lines)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sample(t *testing.T, name string) checkpoint.Checkpoint {
	t.Helper()
	h, err := checkpoint.ParseHead(one)
	if err != nil {
		t.Fatal(err)
	}
	return checkpoint.Checkpoint{Name: name, Head: h, Serial: 2, Previous: checkpoint.None()}
}

func TestACheckpointIsSignedTheSameEachTimeAndReadBack(t *testing.T) {
	private, public := pair(t, "audit.example.com")
	k := keys(t, private)
	c := sample(t, k.Name())
	first, err := k.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	second, err := k.Sign(c)
	if err != nil || string(first) != string(second) {
		t.Errorf("signed again it is %q and not %q: %v", second, first, err)
	}
	if got, err := keys(t, public).Open(first); err != nil || got != c {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := checkpoint.Unsigned(first); err != nil || got != c || k.Public()[0] != public || keys(t, public).CanSign() {
		t.Errorf("got %+v, %v, %s", got, err, k.Public())
	}
	want := "audit.example.com/" + checkpointEpoch + "\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nserial 2\nprevious - 0 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— audit.example.com "
	if !strings.HasPrefix(string(first), want) {
		t.Errorf("got %s", first)
	}
}

func TestAKeyIsChangedByPuttingTheNewOneFirst(t *testing.T) {
	oldPrivate, oldPublic := pair(t, "audit.example.com")
	newPrivate, _ := pair(t, "audit.example.com")
	signed, err := keys(t, oldPrivate).Sign(sample(t, "audit.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{oldPublic, oldPrivate} {
		k := keys(t, newPrivate, old)
		if _, err := k.Open(signed); err != nil || k.Signer(signed) != oldPublic {
			t.Errorf("what the old key signed: %v", err)
		}
		again, err := k.Sign(sample(t, "audit.example.com"))
		if err != nil || string(again) == string(signed) {
			t.Errorf("the old key still signs: %v", err)
		}
	}
	if _, err := keys(t, newPrivate).Open(signed); !errors.Is(err, checkpoint.ErrSignature) {
		t.Errorf("without the old key: %v", err)
	}
}

func TestKeysThatAreNoneAreRefusedWithoutBeingShown(t *testing.T) {
	private, public := pair(t, "a")
	for _, lines := range [][]string{nil, {"s3cret"}, {"PRIVATE+KEY+s3cret"}, {private + "s3cret"}, {public, "s3cret"}} {
		if _, err := checkpoint.ParseKeys(lines); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%d lines: %v", len(lines), err)
		}
	}
}

func FuzzParseText(f *testing.F) {
	f.Add("n/" + checkpointEpoch + "\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nserial 2\nprevious " + one + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := checkpoint.ParseText(text)
		if err == nil && c.Text() != text {
			t.Errorf("%q was taken for %q", text, c.Text())
		}
	})
}
