package e2e

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// secrets are the texts that no log, label, header or audit event may hold, each with what it is.
func (b *bed) secrets() map[string]string {
	a, z := b.stack.S3Access, b.stack.AzureAccess
	out := map[string]string{
		b.secret: "the webhook secret", a.Writer.Secret: "the S3 writer's secret key", a.Reader.Secret: "the S3 reader's secret key",
		signatureOf(z.WriterSAS): "the Azure writer's signature", signatureOf(z.ReaderSAS): "the Azure reader's signature", z.Key: "the Azure account's key",
	}
	for user, login := range b.stack.NATSAccess.Logins {
		out[login.Password] = "the NATS password of " + user
	}
	out[b.fleet.APIToken()], out[b.fleet.AuditKey()] = "the token of the record API", "the key of the audit log"
	out[b.platform.APIToken()] = "the token of the platform's API"
	for _, r := range b.platform.Truth() {
		for _, link := range r.Links() {
			_, query, _ := strings.Cut(link, "?")
			out[signatureOf(query)] = "the signature of a media link"
		}
		for _, p := range r.Participants {
			out[p.Name] = "a participant's name"
		}
	}
	delete(out, "")
	return out
}

// signatureOf is the part of a signed query that makes it a secret, as it is written there.
func signatureOf(query string) string {
	for pair := range strings.SplitSeq(strings.TrimPrefix(query, "?"), "&") {
		if name, value, _ := strings.Cut(pair, "="); name == "sig" || name == "signature" {
			return value
		}
	}
	return ""
}

// leaks fails the test for each secret in a text, plain or unescaped, without showing it.
func (b *bed) leaks(where string, text []byte, secrets map[string]string) {
	b.t.Helper()
	for secret, what := range secrets {
		plain, err := url.QueryUnescape(secret)
		if bytes.Contains(text, []byte(secret)) || (err == nil && bytes.Contains(text, []byte(plain))) {
			b.t.Errorf("%s holds %s", where, what)
		}
	}
}

func (b *bed) noLeaksInLogs() {
	if b.platform == nil {
		return
	}
	secrets := b.secrets()
	for _, p := range b.fleet.Programs() {
		text, err := os.ReadFile(p.Log())
		b.should(err)
		b.leaks("the log of "+p.Name, text, secrets)
		if bytes.Contains(text, []byte("a defect in this program")) || bytes.Contains(text, []byte("goroutine 1 [")) {
			b.t.Errorf("%s logged a panic:\n%s", p.Name, p.Tail())
		}
	}
}

// noLeaksInMetrics looks through the series of what runs: no recording's ID and no link may be among their labels.
func (b *bed) noLeaksInMetrics() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, p := range b.fleet.Programs() {
		if !p.Running() {
			continue
		}
		series, err := p.Metrics(ctx)
		b.should(err)
		for name := range series {
			if strings.Contains(name, "rec-") || strings.Contains(name, "://") {
				b.t.Errorf("%s has a series with an ID or a link in it: %s", p.Name, name)
			}
		}
	}
}

// noLeaksInStreams looks through the audit events and the dead letters' headers.
func (b *bed) noLeaksInStreams() {
	if b.platform == nil || b.stack.NATS.PID() == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	secrets := b.secrets()
	b.should(b.each(ctx, "AUDIT", func(m *jetstream.RawStreamMsg) { b.leaks("an audit event", m.Data, secrets) }))
	b.should(b.each(ctx, "RECORDINGS_DLQ", func(m *jetstream.RawStreamMsg) {
		var all strings.Builder
		for name, values := range m.Header {
			all.WriteString(name + ": " + strings.Join(values, " ") + "\n")
		}
		b.leaks("a dead letter's headers", []byte(all.String()), secrets)
		if strings.Contains(all.String(), "://") {
			b.t.Errorf("a dead letter's headers hold a link:\n%s", all.String())
		}
	}))
}

// connect opens a connection of the test's own to NATS.
func (b *bed) connect() (*nats.Conn, jetstream.JetStream, error) {
	a := b.stack.NATSAccess
	nc, err := nats.Connect(a.URL, nats.UserInfo(a.User, a.Password), nats.Name(b.t.Name()))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	return nc, js, err
}

// each shows every message of a stream, which need not exist.
func (b *bed) each(ctx context.Context, stream string, show func(*jetstream.RawStreamMsg)) error {
	nc, js, err := b.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	s, err := js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	state := s.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := s.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		show(m)
	}
	return nil
}
