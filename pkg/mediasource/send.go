package mediasource

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/twinreel/twinreel/pkg/fault"
)

// send asks one host. Where it gets a token, the request takes a turn at the source's platform first, and a token that is
// refused is fetched anew once. What the link itself holds of credentials comes first.
func (h *HTTP) send(ctx context.Context, op string, q question, u *url.URL) (*http.Response, error) {
	if h.api == nil || u.User != nil {
		return h.once(ctx, op, q, u, "")
	}
	key, ok := h.api.Key(q.of, u)
	if !ok {
		return h.once(ctx, op, q, u, "")
	}
	for again := false; ; again = true {
		if err := h.api.Turn(ctx, q.of); err != nil {
			return nil, waited(ctx, op, err)
		}
		token, err := key.Token(ctx)
		if err != nil {
			return nil, waited(ctx, op, err)
		}
		resp, err := h.once(ctx, op, q, u, token)
		if err != nil || resp.StatusCode != http.StatusUnauthorized || again || !key.Refused(token) {
			return resp, err
		}
		resp.Body.Close()
	}
}

// waited is the fault of a wait for turn or token; of one that was given up with the media, failed's.
func waited(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return failed(ctx, op, err)
	}
	return err
}

// once sends one request. The stall time-out covers the wait for its answer.
func (h *HTTP) once(ctx context.Context, op string, q question, u *url.URL, token string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, fault.New(fault.Permanent, fault.Source, op, errors.New("the link cannot be asked for"))
	}
	req.Header = q.header.Clone()
	switch {
	case u.User != nil:
		password, _ := u.User.Password()
		req.SetBasicAuth(u.User.Username(), password) // for this host, not for where it sends us on to
	case token != "":
		req.Header.Set("Authorization", "Bearer "+token) // likewise
	}
	q.stall.Reset(h.config.StallTimeout)
	resp, err := q.via.RoundTrip(req)
	q.stall.Stop()
	if err != nil {
		return nil, failed(ctx, op, err)
	}
	return resp, nil
}
