package floor

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Door is what the leanest taker of webhooks needs. It is JSON on the way to its process.
type Door struct {
	NATS, CA, User, Password string
	Subject                  string
	Secret                   string
}

// Listen takes webhooks on l until ctx ends: it checks the signature, publishes the body as it came, waits for the
// stream's acknowledgement, and answers.
func (d Door) Listen(ctx context.Context, l net.Listener) error {
	nc, err := nats.Connect(d.NATS, nats.RootCAs(d.CA), nats.UserInfo(d.User, d.Password), nats.CustomInboxPrefix("_INBOX.ingress"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(d.take(js, r))
	})}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	return server.Serve(l)
}

// take handles one webhook and returns the status to answer with.
func (d Door) take(js jetstream.JetStream, r *http.Request) int {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return http.StatusBadRequest
	}
	signature := r.Header.Get("X-Hub-Signature-256")
	if !hmac.Equal([]byte(signature), []byte(Sign(d.Secret, body))) {
		return http.StatusUnauthorized
	}
	msg := nats.NewMsg(d.Subject)
	msg.Data = body
	if _, err := js.PublishMsg(r.Context(), msg, jetstream.WithMsgID(signature)); err != nil {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// Sign returns the value of the header X-Hub-Signature-256 for a body.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body) // never fails
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
