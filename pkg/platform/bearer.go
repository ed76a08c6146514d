package platform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/settings"
)

// bearer hands out tokens. It is safe for concurrent use.
type bearer interface {
	// Token returns the token to send now. Errors are faults of part Platform, class Unavailable.
	Token(ctx context.Context) (string, error)
	// Refused says that somebody answered 401 to the token. It reports whether another one is worth a try.
	Refused(token string) bool
}

// fixed is a token that the operator sets, and may change in its file.
type fixed struct{ secret settings.Secret }

// fixedBearer is nil where there is no token.
func fixedBearer(s settings.Secret) bearer {
	if !s.IsSet() {
		return nil
	}
	return fixed{s}
}

// Token implements bearer.
func (f fixed) Token(context.Context) (string, error) { return f.secret.Get(), nil }

// Refused implements bearer.
func (f fixed) Refused(token string) bool { return f.secret.Get() != token }

// failurePause is how long a token endpoint that failed is left alone: everybody who wants a token meanwhile is told the
// same.
const failurePause = time.Second

// granted is a token by OAuth client credentials, kept until shortly before it ends.
type granted struct {
	config OAuth
	client *http.Client

	turn   chan struct{} // holds one while somebody is at what follows; unlike a mutex it can be waited for with a context
	held   *oauth2.Token
	failed error
	since  time.Time // of failed
}

func newGranted(c OAuth, client *http.Client) *granted {
	return &granted{config: c, client: client, turn: make(chan struct{}, 1)}
}

// Token implements bearer.
func (g *granted) Token(ctx context.Context) (string, error) {
	const op = "fetch a token"
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return "", fault.New(fault.ClassOf(ctx.Err()), fault.Platform, op, ctx.Err())
	}
	switch {
	case g.held.Valid():
		return g.held.AccessToken, nil
	case g.failed != nil && time.Since(g.since) < failurePause:
		return "", g.failed
	}
	// The secret as it is now: a changed one needs no restart.
	c := clientcredentials.Config{
		ClientID: g.config.ClientID, ClientSecret: g.config.ClientSecret.Get(), TokenURL: g.config.TokenURL, Scopes: trimmed(g.config.Scopes),
	}
	token, err := c.Token(context.WithValue(ctx, oauth2.HTTPClient, g.client))
	if err != nil {
		if ctx.Err() != nil {
			return "", fault.New(fault.ClassOf(ctx.Err()), fault.Platform, op, ctx.Err())
		}
		g.failed, g.since = refusal(op, err), time.Now()
		return "", g.failed
	}
	g.held, g.failed = token, nil
	return token.AccessToken, nil
}

// refusal is the fault of a token endpoint that gave none. Its own words are left out: they may repeat what it was sent.
func refusal(op string, err error) error {
	cause := errors.New("the token endpoint's answer holds no token")
	var answer *oauth2.RetrieveError
	var lost *url.Error
	switch {
	case errors.As(err, &answer) && answer.Response != nil:
		cause = fmt.Errorf("the token endpoint answered %d; look at TWINREEL_OAUTH_CLIENT_ID, _CLIENT_SECRET and _SCOPES", answer.Response.StatusCode)
	case errors.As(err, &lost):
		cause = fmt.Errorf("the token endpoint cannot be reached: %w", InWords(err))
	}
	return fault.New(fault.Unavailable, fault.Platform, op, cause)
}

// Refused implements bearer: the next to ask gets a new token.
func (g *granted) Refused(token string) bool {
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	if g.held != nil && g.held.AccessToken == token {
		g.held = nil
	}
	return true
}
