package doctor

import (
	"encoding/base64"
	"fmt"
	"math"
	"strings"

	"github.com/twinreel/twinreel/pkg/settings"
)

// Bits of entropy, by Shannon's measure of the secret's own characters: what a hash of 128 bits, written in hex, comes to,
// and what can be guessed by machines.
const (
	strongBits = 90
	weakBits   = 64
)

// WebhookSecret judges what webhooks of the default source are signed with. The secret itself is in no answer.
func WebhookSecret(secret settings.Secret, scheme string, sourcesFile bool) Said {
	q := question{"webhooks.secret", "long and random: 32 bytes or more", "whoever guesses it sends webhooks that Twinreel takes for the platform's, and has it fetch what he likes"}
	const mend = "make one by openssl rand -hex 32; put it beside the old one, each on a line, until the platform signs by it"
	if scheme == "none" {
		return Said{q.fail("set TWINREEL_WEBHOOK_SCHEME=hub-sha256 and a secret", "webhooks of source default are not signed (TWINREEL_WEBHOOK_SCHEME=none)")}
	}
	if !secret.IsSet() {
		return Said{q.unknown("run doctor once where ingress's TWINREEL_WEBHOOK_SECRET or TWINREEL_WEBHOOK_SECRET_FILE is set", "it is not in this environment")}
	}
	lines := secret.Lines()
	worst, which := math.Inf(1), 0
	for n, line := range lines {
		if bits := entropy(keyOf(line, scheme)); bits < worst {
			worst, which = bits, n+1
		}
	}
	found := fmt.Sprintf("%d active, the weakest (line %d) of about %.0f bits", len(lines), which, worst)
	if sourcesFile {
		found += "; those in TWINREEL_SOURCES_FILE are not looked at"
	}
	switch {
	case len(lines) == 0:
		return Said{q.fail(mend, "it is blank")}
	case worst < weakBits:
		return Said{q.fail(mend, "%s", found)}
	case worst < strongBits:
		return Said{q.warn(mend, "%s", found)}
	}
	return Said{q.pass("%s", found)}
}

// keyOf is what is signed with: standard-webhooks writes it in base64.
func keyOf(line, scheme string) string {
	if rest, ok := strings.CutPrefix(line, "whsec_"); ok && scheme == "standard-webhooks" {
		if b, err := base64.StdEncoding.DecodeString(rest); err == nil {
			return string(b)
		}
	}
	return line
}

// entropy is Shannon's, in bits, of the string's bytes taken each for itself: an upper bound, which words and patterns
// undercut.
func entropy(s string) float64 {
	var count [256]int
	for _, b := range []byte(s) {
		count[b]++
	}
	bits := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(s))
			bits -= float64(n) * math.Log2(p)
		}
	}
	return bits
}
