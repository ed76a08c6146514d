package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
)

// ErrNoResolver says that there is nowhere to ask for a fresh link.
var ErrNoResolver = errors.New("no resolver is set up for this source")

// maxAnswer is the longest answer of a resolver that is read, in bytes.
const maxAnswer = 64 << 10

const opResolve = "ask the resolver for a fresh link"

// Resolve asks the source's platform for a fresh link to a recording's media. It is a secret, and no better than any link
// that comes in a webhook. ErrNoResolver.
func (a *API) Resolve(ctx context.Context, source, recordingID string) (string, error) {
	acc := a.of(source)
	if acc.resolver == "" {
		return "", ErrNoResolver
	}
	resp, err := a.ask(ctx, acc, source, filled(acc.resolver, source, recordingID))
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", answered(resp, a.now())
	}
	fresh, err := link(resp.Body)
	if err != nil && ctx.Err() != nil {
		err = fault.New(fault.ClassOf(ctx.Err()), fault.Platform, opResolve, ctx.Err())
	}
	return fresh, err
}

// ask sends the question, with a token where the resolver gets one: one that is refused is fetched anew once.
func (a *API) ask(ctx context.Context, acc account, source, address string) (*http.Response, error) {
	for again := false; ; again = true {
		if err := a.Turn(ctx, source); err != nil {
			return nil, err
		}
		token := ""
		if acc.ask != nil {
			var err error
			if token, err = acc.ask.Token(ctx); err != nil {
				return nil, err
			}
		}
		resp, err := a.send(ctx, address, token)
		if err != nil || resp.StatusCode != http.StatusUnauthorized || again || acc.ask == nil || !acc.ask.Refused(token) {
			return resp, err
		}
		_ = resp.Body.Close()
	}
}

func (a *API) send(ctx context.Context, address, token string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, fault.New(fault.Permanent, fault.Platform, opResolve, errors.New("TWINREEL_RESOLVER_URL makes no address"))
	}
	req.Header.Set("Accept", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := a.client.Do(req)
	switch {
	case err == nil:
		return resp, nil
	case ctx.Err() != nil:
		return nil, fault.New(fault.ClassOf(ctx.Err()), fault.Platform, opResolve, ctx.Err())
	}
	return nil, fault.New(fault.Unavailable, fault.Platform, opResolve, InWords(err))
}

// answered is the fault of an answer that brings no link.
func answered(resp *http.Response, now time.Time) error {
	code := resp.StatusCode
	f := fault.New(fault.Transient, fault.Platform, opResolve, fmt.Errorf("it answered %d", code))
	f.Status, f.RetryAfter = code, RetryAfter(resp.Header.Get("Retry-After"), now)
	switch {
	case code == http.StatusAccepted:
		f.Class, f.Err = fault.Throttled, errors.New("the recording is still being transcoded")
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		f.Class = fault.Denied
	case code == http.StatusNotFound, code == http.StatusGone:
		f.Class, f.Part, f.Err = fault.SourceGone, fault.Source, fmt.Errorf("the recording is gone: it answered %d", code)
	case code == http.StatusTooManyRequests:
		f.Class = fault.Throttled
	case code >= http.StatusInternalServerError:
		f.Class = fault.Unavailable
	}
	return f
}

// link reads the answer's one field that matters.
func link(r io.Reader) (string, error) {
	corrupt := func(text string) error { return fault.New(fault.Corrupt, fault.Platform, opResolve, errors.New(text)) }
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	switch {
	case err != nil:
		return "", fault.New(fault.Unavailable, fault.Platform, opResolve, errors.New("its answer broke off"))
	case len(b) > maxAnswer:
		return "", corrupt("its answer is too long")
	}
	var answer struct {
		MediaURL string `json:"mediaUrl"`
	}
	if json.Unmarshal(b, &answer) != nil || answer.MediaURL == "" {
		return "", corrupt(`its answer is not {"mediaUrl": …}`)
	}
	if err := event.CheckMediaURL(answer.MediaURL); err != nil {
		return "", corrupt("its mediaUrl is no link: " + err.Error())
	}
	return answer.MediaURL, nil
}

// RetryAfter reads a Retry-After header, in seconds or as a date; 0 where it says nothing or the time has passed.
func RetryAfter(header string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
