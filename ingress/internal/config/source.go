package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Scheme is how a source signs its webhooks.
type Scheme string

// The schemes.
const (
	HubSHA256        Scheme = "hub-sha256"        // X-Hub-Signature-256 over the body, as WebSub and GitHub do
	StandardWebhooks Scheme = "standard-webhooks" // https://www.standardwebhooks.com
	None             Scheme = "none"              // not at all
)

// standardPrefix stands before the base64 of a Standard Webhooks secret.
const standardPrefix = "whsec_"

// Source is one platform endpoint that sends webhooks.
type Source struct {
	Name    string
	Scheme  Scheme
	secrets []settings.Secret
}

// NewSource returns a source that signs with any of the secrets; each may hold several, one a line.
func NewSource(name string, scheme Scheme, secrets ...settings.Secret) Source {
	return Source{name, scheme, secrets}
}

// Keys returns the HMAC keys that are active now. Secrets that the scheme cannot use are left out.
func (s Source) Keys() [][]byte {
	var out [][]byte
	for _, secret := range s.secrets {
		for _, line := range secret.Lines() {
			if key, err := s.Scheme.key(line); err == nil {
				out = append(out, key)
			}
		}
	}
	return out
}

// key returns the HMAC key in a secret as the platform shows it.
func (s Scheme) key(secret string) ([]byte, error) {
	if s != StandardWebhooks {
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, standardPrefix))
	if err != nil || len(key) == 0 {
		return nil, errors.New("a secret of scheme standard-webhooks is base64, after whsec_")
	}
	return key, nil
}

// checkSecrets returns what is wrong with secrets of that scheme, without showing them.
func checkSecrets(s Scheme, secrets []string) error {
	for _, line := range secrets {
		if _, err := s.key(line); err != nil {
			return err
		}
	}
	return nil
}

// Sources returns all sources by name, the default one among them. Trouble with reading secrets again goes to warn.
func (w *Webhook) Sources(warn func(variable, text string)) (map[string]Source, error) {
	list, err := w.further(settings.OnWarning(warn))
	if err != nil {
		return nil, fmt.Errorf("TWINREEL_SOURCES_FILE: %w", err)
	}
	out := map[string]Source{event.DefaultSource: NewSource(event.DefaultSource, Scheme(w.Scheme), w.Secret)}
	for _, s := range list {
		out[s.Name] = s
	}
	return out, nil
}
