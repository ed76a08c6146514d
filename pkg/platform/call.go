package platform

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/settings"
)

// maxCall is the longest answer to a call that is read, in bytes.
const maxCall = 1 << 20

const opCall = "call the platform's API"

// Caller calls the API of the default source's platform for an operator: with a token of its own, and in the same turns as
// the fleet's requests. It is safe for concurrent use.
type Caller struct {
	api    *API
	bearer bearer
}

// Caller returns the Caller that sends this token; an unset one stands for the OAuth client credentials.
func (a *API) Caller(token settings.Secret) *Caller {
	c := &Caller{api: a, bearer: fixedBearer(token)}
	if c.bearer == nil {
		c.bearer = a.general.ask
	}
	return c
}

// Answer is what a platform said to a call.
type Answer struct {
	Status     int
	Body       []byte
	RetryAfter time.Duration // what it asked to wait, else 0
}

// Call sends one request with a JSON body (nil for none) when it is its turn. An answer of any status is no error; an error
// is a fault of part Platform and says that none came: the request may have been carried out all the same, unless the fault
// is Throttled. A token that is refused is fetched anew once.
func (c *Caller) Call(ctx context.Context, method, address string, body []byte) (Answer, error) {
	for again := false; ; again = true {
		if err := c.api.Turn(ctx, event.DefaultSource); err != nil {
			return Answer{}, err
		}
		token := ""
		if c.bearer != nil {
			var err error
			if token, err = c.bearer.Token(ctx); err != nil {
				return Answer{}, err
			}
		}
		a, err := c.send(ctx, method, address, token, body)
		if err != nil || a.Status != http.StatusUnauthorized || again || c.bearer == nil || !c.bearer.Refused(token) {
			return a, err
		}
	}
}

func (c *Caller) send(ctx context.Context, method, address, token string, body []byte) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fault.New(fault.Permanent, fault.Platform, opCall, errors.New("the address makes no request"))
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.api.client.Do(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return Answer{}, fault.New(fault.ClassOf(ctx.Err()), fault.Platform, opCall, ctx.Err())
	case err != nil:
		return Answer{}, fault.New(fault.Unavailable, fault.Platform, opCall, InWords(err))
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxCall+1))
	switch {
	case err != nil:
		return Answer{}, fault.New(fault.Unavailable, fault.Platform, opCall, errors.New("its answer broke off"))
	case len(b) > maxCall:
		return Answer{}, fault.New(fault.Corrupt, fault.Platform, opCall, errors.New("its answer is too long"))
	}
	return Answer{resp.StatusCode, b, RetryAfter(resp.Header.Get("Retry-After"), c.api.now())}, nil
}
