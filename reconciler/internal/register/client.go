package register

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/platform"
)

// path is where the platform's API has its webhooks.
const path = "/api/v2/integrations/webhooks"

// Bounds of asking. The platform's own limit is 10 requests a second for all of an organisation.
const (
	perSecond = 10
	attempts  = 4 // of a request that was refused for its rate
	maxWait   = 30 * time.Second
	maxPages  = 100
)

// Caller sends one request and returns the answer, of whatever status; an error says that none came.
type Caller interface {
	Call(ctx context.Context, method, address string, body []byte) (platform.Answer, error)
}

// Client is the part of the platform's API that is about webhooks. Its requests are at least a tenth of a second apart, the
// first as well, so that a command that is repeated without end stays within the platform's limit by itself.
type Client struct {
	caller Caller
	base   *url.URL
	pace   *rate.Limiter
}

// NewClient returns the client of the API at base.
func NewClient(caller Caller, base string) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(base, "/"))
	if err != nil || u.Host == "" {
		return nil, errors.New("the platform's API has no address: set TWINREEL_PLATFORM_API_URL")
	}
	c := &Client{caller, u, rate.NewLimiter(perSecond, 1)}
	c.pace.Allow()
	return c, nil
}

// List returns all webhooks that the platform has.
func (c *Client) List(ctx context.Context) ([]Webhook, error) {
	const op = "list the platform's webhooks"
	var out []Webhook
	address := c.base.JoinPath(path).String()
	for range maxPages {
		a, err := c.call(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
		if a.Status != http.StatusOK {
			return nil, fmt.Errorf("%s: %w", op, refusal(a))
		}
		page, next, err := read(a.Body)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
		out = append(out, page...)
		if next == "" {
			return out, nil
		}
		if address, err = c.follow(next); err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
	}
	return nil, fmt.Errorf("%s: it does not end after %d pages", op, maxPages)
}

// read takes a page of the list: an array, or an object with the array and where it goes on.
func read(body []byte) (page []Webhook, next string, err error) {
	if json.Unmarshal(body, &page) == nil {
		return page, "", nil
	}
	var in struct {
		Entities json.RawMessage `json:"entities"`
		Next     string          `json:"nextUri"`
	}
	if json.Unmarshal(body, &in) != nil || len(in.Entities) == 0 || json.Unmarshal(in.Entities, &page) != nil {
		return nil, "", errors.New("the answer is no list of webhooks; is TWINREEL_PLATFORM_API_URL the platform's API?")
	}
	return page, in.Next, nil
}

// follow is where the list goes on: on the same host only, since the token goes along.
func (c *Client) follow(next string) (string, error) {
	u, err := c.base.Parse(next)
	if err != nil || u.Scheme != c.base.Scheme || u.Host != c.base.Host {
		return "", errors.New("it goes on at another host, which gets no token of ours")
	}
	return u.String(), nil
}

// Create creates a webhook and returns it with the ID that the platform gave it. ErrUnsure.
func (c *Client) Create(ctx context.Context, w Webhook) (Webhook, error) {
	const op = "create the webhook"
	w.ID = ""
	body, err := json.Marshal(w)
	if err != nil {
		return Webhook{}, fmt.Errorf("%s: %w", op, err)
	}
	a, err := c.call(ctx, http.MethodPost, c.base.JoinPath(path).String(), body)
	switch {
	case err != nil && fault.ClassOf(err) != fault.Throttled:
		return Webhook{}, fmt.Errorf("%s: %w: %w", op, ErrUnsure, err)
	case err != nil:
		return Webhook{}, fmt.Errorf("%s: %w", op, err)
	case a.Status >= http.StatusInternalServerError, a.Status == http.StatusRequestTimeout, a.Status == http.StatusConflict:
		return Webhook{}, fmt.Errorf("%s: %w: %w", op, ErrUnsure, refusal(a))
	case a.Status/100 != 2:
		return Webhook{}, fmt.Errorf("%s: %w", op, refusal(a))
	}
	var made Webhook
	if json.Unmarshal(a.Body, &made) != nil || made.URL == "" {
		made = w // it is there, but not told how
	}
	return made, nil
}

// ErrUnsure says that a webhook may have been created although the answer does not tell.
var ErrUnsure = errors.New("whether it is there is not known")

// call sends a request in its turn, and again where the platform asks for patience: then it was not carried out.
func (c *Client) call(ctx context.Context, method, address string, body []byte) (platform.Answer, error) {
	for attempt := 1; ; attempt++ {
		if err := c.pace.Wait(ctx); err != nil {
			return platform.Answer{}, err
		}
		a, err := c.caller.Call(ctx, method, address, body)
		if err != nil || a.Status != http.StatusTooManyRequests || attempt == attempts {
			return a, err
		}
		if err := sleep(ctx, min(max(a.RetryAfter, time.Second), maxWait)); err != nil {
			return platform.Answer{}, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// refusal says what a status means. The platform's own words are left out: they may repeat what it was sent.
func refusal(a platform.Answer) error {
	hint := map[int]string{
		http.StatusUnauthorized:    "the token is not valid: look at TWINREEL_PLATFORM_TOKEN, or the OAuth client",
		http.StatusForbidden:       "the token may not manage webhooks: give its client that right (Integrations > Webhooks > Manage)",
		http.StatusNotFound:        "the API is not there: look at TWINREEL_PLATFORM_API_URL",
		http.StatusBadRequest:      "it does not take this webhook: can it reach the address, and does it know its host?",
		http.StatusConflict:        "it says that there is one already",
		http.StatusTooManyRequests: "the organisation's request limit is used up: try again later",
	}[a.Status]
	if hint == "" {
		hint = "try again later"
	}
	return fmt.Errorf("the platform answered %d: %s", a.Status, hint)
}
