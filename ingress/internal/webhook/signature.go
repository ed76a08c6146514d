package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/twinreel/twinreel/ingress/internal/config"
)

// maxSkew is how far the time stamp of a Standard Webhooks signature may be from now, either way.
const maxSkew = 5 * time.Minute

// errSignature is what all signatures that are well-formed but wrong have in common: which of the reasons it is must
// not help a forger.
var errSignature = errors.New("the signature does not match the body with any active secret")

// verify checks the signature of body in the header by the source's scheme, against every active secret, in constant
// time.
func verify(s config.Source, h http.Header, body []byte, now time.Time) error {
	switch s.Scheme {
	case config.None:
		return nil
	case config.HubSHA256:
		return verifyHub(s.Keys(), h, body)
	case config.StandardWebhooks:
		return verifyStandard(s.Keys(), h, body, now)
	}
	return fmt.Errorf("unknown signature scheme %q", s.Scheme)
}

// single returns the header's only value.
func single(h http.Header, name string) (string, error) {
	switch v := h.Values(name); len(v) {
	case 1:
		return v[0], nil
	case 0:
		return "", fmt.Errorf("the header %s is missing", name)
	default:
		return "", fmt.Errorf("the header %s is there %d times; exactly one is taken", name, len(v))
	}
}

// verifyHub checks X-Hub-Signature-256: sha256=<hex HMAC-SHA256 of the body>.
// See https://www.w3.org/TR/websub/#authenticated-content-distribution.
func verifyHub(keys [][]byte, h http.Header, body []byte) error {
	v, err := single(h, "X-Hub-Signature-256")
	if err != nil {
		return err
	}
	digits, ok := strings.CutPrefix(v, "sha256=")
	sum, err := hex.DecodeString(digits)
	if !ok || err != nil || len(sum) != sha256.Size {
		return errors.New("the header X-Hub-Signature-256 is not of the form sha256=<64 hexadecimal digits>")
	}
	return match(keys, [][]byte{sum}, body)
}

// verifyStandard checks webhook-id, webhook-timestamp and webhook-signature.
// See https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
func verifyStandard(keys [][]byte, h http.Header, body []byte, now time.Time) error {
	id, err := single(h, "webhook-id")
	if err != nil {
		return err
	}
	stamp, err := single(h, "webhook-timestamp")
	if err != nil {
		return err
	}
	list, err := single(h, "webhook-signature")
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if id == "" || err != nil {
		return errors.New("webhook-id is empty, or webhook-timestamp is not in seconds since 1970")
	}
	if age := now.Unix() - seconds; age > int64(maxSkew/time.Second) || age < -int64(maxSkew/time.Second) {
		return fmt.Errorf("webhook-timestamp is more than %v away from this host's clock", maxSkew)
	}
	var sums [][]byte
	for s := range strings.FieldsSeq(list) {
		text, ok := strings.CutPrefix(s, "v1,")
		if !ok {
			continue // of another version: may stand beside ours
		}
		if sum, err := base64.StdEncoding.DecodeString(text); err == nil {
			sums = append(sums, sum)
		}
	}
	if len(sums) == 0 {
		return errors.New("webhook-signature has no signature of the form v1,<base64>")
	}
	return match(keys, sums, bytes.Join([][]byte{[]byte(id), []byte(stamp), body}, []byte{'.'}))
}

// match reports whether one of sums is the HMAC-SHA256 of message with one of keys. It tries all of them, so that its
// time does not tell which fitted.
func match(keys, sums [][]byte, message []byte) error {
	found := false
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write(message)
		want := mac.Sum(nil)
		for _, sum := range sums {
			if hmac.Equal(want, sum) {
				found = true
			}
		}
	}
	if !found {
		return errSignature
	}
	return nil
}
