// Package config is what ingress is set up with: the environment, and the file of further sources.
package config

import (
	"crypto/tls"
	"time"

	"github.com/twinreel/twinreel/ingress/internal/route"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/service"
	"github.com/twinreel/twinreel/pkg/settings"
)

// Config is all of ingress's settings.
type Config struct {
	Service service.Config
	NATS    queue.Config
	HTTP    HTTP
	Webhook Webhook
	Route   route.Config
}

// HTTP is how ingress listens.
type HTTP struct {
	ListenAddr  string `env:"TWINREEL_LISTEN_ADDR" envDefault:":8080" meaning:"address that webhooks are sent to"`
	TLSCertFile string `env:"TWINREEL_TLS_CERT_FILE" meaning:"certificate chain (PEM); unset: plain HTTP. A changed file is read again"`
	TLSKeyFile  string `env:"TWINREEL_TLS_KEY_FILE" meaning:"its private key (PEM)"`
}

// Check implements settings.Checker.
func (h *HTTP) Check() []settings.Problem {
	var out []settings.Problem
	if err := service.CheckAddr(h.ListenAddr); err != nil {
		out = append(out, settings.Problem{Variable: "TWINREEL_LISTEN_ADDR", Text: err.Error()})
	}
	switch {
	case h.TLSCertFile == "" && h.TLSKeyFile == "":
	case h.TLSKeyFile == "":
		out = append(out, settings.Problem{Variable: "TWINREEL_TLS_KEY_FILE", Text: "set it together with TWINREEL_TLS_CERT_FILE"})
	case h.TLSCertFile == "":
		out = append(out, settings.Problem{Variable: "TWINREEL_TLS_CERT_FILE", Text: "set it together with TWINREEL_TLS_KEY_FILE"})
	default:
		if _, err := tls.LoadX509KeyPair(h.TLSCertFile, h.TLSKeyFile); err != nil {
			out = append(out, settings.Problem{Variable: "TWINREEL_TLS_CERT_FILE", Text: "certificate and key cannot be read as a pair: " + fault.Text(err)})
		}
	}
	return out
}

// Webhook is what ingress takes, from whom, and how long it waits for the stream.
type Webhook struct {
	Secret        settings.Secret `env:"TWINREEL_WEBHOOK_SECRET" required:"checked" meaning:"secret of the source \"default\"; several at once, one a line; not needed with scheme none"`
	Scheme        string          `env:"TWINREEL_WEBHOOK_SCHEME" envDefault:"hub-sha256" meaning:"how that source signs: hub-sha256, standard-webhooks or none"`
	AllowUnsigned bool            `env:"TWINREEL_ALLOW_UNSIGNED" envDefault:"false" meaning:"take webhooks without a signature from sources of scheme none"`
	MaxBody       settings.Bytes  `env:"TWINREEL_MAX_BODY_BYTES" envDefault:"256KiB" meaning:"longest webhook body"`
	AckTimeout    time.Duration   `env:"TWINREEL_ACK_TIMEOUT" envDefault:"2500ms" meaning:"how long to wait for the stream's acknowledgement before answering 503"`
	Participants  string          `env:"TWINREEL_PARTICIPANTS" envDefault:"full" meaning:"what of participants is kept: full, ids (no names) or none"`
	SourcesFile   string          `env:"TWINREEL_SOURCES_FILE" meaning:"YAML file of further sources"`
}

// Bounds of what a webhook may cost.
const (
	minBody       = 1 << 10
	maxBody       = 64 << 20
	maxAckTimeout = time.Minute
)

// Check implements settings.Checker. It reads the sources' file, so that its problems come out with all others.
func (w *Webhook) Check() []settings.Problem {
	var out []settings.Problem
	add := func(name, text string) { out = append(out, settings.Problem{Variable: name, Text: text}) }
	if w.MaxBody < minBody || w.MaxBody > maxBody {
		add("TWINREEL_MAX_BODY_BYTES", "want 1KiB to 64MiB")
	}
	if w.AckTimeout <= 0 || w.AckTimeout > maxAckTimeout {
		add("TWINREEL_ACK_TIMEOUT", "want more than 0 and at most 1m")
	}
	if w.Participants != "full" && w.Participants != "ids" && w.Participants != "none" {
		add("TWINREEL_PARTICIPANTS", "want full, ids or none")
	}
	out = append(out, w.checkDefault()...)
	if _, err := w.further(); err != nil {
		for _, text := range lines(err) {
			add("TWINREEL_SOURCES_FILE", text)
		}
	}
	return out
}

// checkDefault holds the default source against the rules that every source keeps.
func (w *Webhook) checkDefault() []settings.Problem {
	one := func(name, text string) []settings.Problem { return []settings.Problem{{Variable: name, Text: text}} }
	switch Scheme(w.Scheme) {
	case None:
		if !w.AllowUnsigned {
			return one("TWINREEL_WEBHOOK_SCHEME", "none is taken only together with TWINREEL_ALLOW_UNSIGNED=true")
		}
		return nil
	case HubSHA256, StandardWebhooks:
	default:
		return one("TWINREEL_WEBHOOK_SCHEME", "want hub-sha256, standard-webhooks or none")
	}
	lines := w.Secret.Lines()
	if len(lines) == 0 {
		return one("TWINREEL_WEBHOOK_SECRET", "is required, or a path in TWINREEL_WEBHOOK_SECRET_FILE: what the platform signs with")
	}
	if err := checkSecrets(Scheme(w.Scheme), lines); err != nil {
		return one("TWINREEL_WEBHOOK_SECRET", err.Error())
	}
	return nil
}
