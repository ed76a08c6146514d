// Package register creates the webhook on the platform's API that has it tell Twinreel of each finished recording, and shows
// those that are there. The body is the one that the platform's guide asks for: three retries, fifteen seconds apart.
package register

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Completed is the only event that a webhook is registered for.
const Completed = "RECORDING_COMPLETED"

// What the guide asks for of each webhook.
const (
	contentType = "application/json"
	retryCount  = 3
	retryDelay  = 15_000 // milliseconds
)

// Webhook is a webhook as the platform's API has it. What is sent has all fields but ID, in this order.
type Webhook struct {
	ID          string            `json:"id,omitempty"`
	Name        string            `json:"name"`
	URL         string            `json:"url"`
	Event       string            `json:"event"`
	Enabled     bool              `json:"enabled"`
	ContentType string            `json:"contentType"`
	RetryCount  int               `json:"retryCount"`
	RetryDelay  int               `json:"retryDelay"` // milliseconds
	Headers     map[string]string `json:"headers"`
}

// New returns the webhook that the guide asks for.
func New(name, address string, headers map[string]string) Webhook {
	if headers == nil {
		headers = map[string]string{}
	}
	return Webhook{
		Name: name, URL: address, Event: Completed, Enabled: true, ContentType: contentType, RetryCount: retryCount, RetryDelay: retryDelay,
		Headers: headers,
	}
}

// CheckEvent says why a webhook must not be registered for an event, nil for the one that it must be.
func CheckEvent(event string) error {
	switch event {
	case Completed:
		return nil
	case "RECORDING_STARTED":
		return errors.New("RECORDING_STARTED comes before there is a recording: it has neither a media link nor the final duration, " +
			"and whoever fetches then gets 404s and uses up the platform's request limit; register " + Completed)
	}
	return fmt.Errorf("%.60q is nothing that Twinreel takes: register %s, which comes when the media are there and final", event, Completed)
}

// CheckURL says what is wrong with the address that webhooks are to be sent to. Plain http is taken to this machine only,
// unless it is allowed.
func CheckURL(address string, allowHTTP bool) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("want an address such as https://hooks.example.com/api/v1/webhooks/recording-complete")
	case u.User != nil || u.Fragment != "":
		return errors.New("want an address without user, password and fragment: webhooks are proven by their signature")
	case u.Scheme == "http" && !allowHTTP && !local(u.Hostname()):
		return errors.New("want https: what comes by plain http lays media links and names open on the way (--allow-http for a test)")
	}
	return nil
}

func local(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// OursByPath reports whether the address ends as ingress's routes do.
func OursByPath(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	_, source, ok := strings.Cut(u.Path, "/api/v1/webhooks/")
	return ok && source != "" && !strings.Contains(source, "/")
}

// ParseHeaders reads headers that are written NAME=VALUE, or NAME: VALUE.
func ParseHeaders(list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, h := range list {
		at := strings.IndexAny(h, "=:")
		if at < 0 {
			return nil, errors.New("want NAME=VALUE")
		}
		name, value := strings.TrimSpace(h[:at]), strings.TrimSpace(h[at+1:])
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) }) {
			return nil, fmt.Errorf("%.60q is no header's name", name)
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("the value of %s holds a control character", name)
		}
		out[name] = value
	}
	return out, nil
}

// Differences lists in which fields have differs from want, in words. Values of headers, which may be secrets, are left out.
func Differences(have, want Webhook) []string {
	var out []string
	add := func(field string, have, want any) {
		if have != want {
			out = append(out, fmt.Sprintf("%s is %v, not %v", field, have, want))
		}
	}
	add("name", fmt.Sprintf("%.60q", have.Name), fmt.Sprintf("%.60q", want.Name))
	add("event", have.Event, want.Event)
	add("enabled", have.Enabled, want.Enabled)
	add("contentType", have.ContentType, want.ContentType)
	add("retryCount", have.RetryCount, want.RetryCount)
	add("retryDelay", have.RetryDelay, want.RetryDelay)
	has, wants := lowered(have.Headers), lowered(want.Headers)
	for _, name := range slices.Sorted(maps.Keys(wants)) {
		if value, ok := has[name]; !ok {
			out = append(out, "header "+name+" is missing")
		} else if value != wants[name] {
			out = append(out, "header "+name+" has another value")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(has)) {
		if _, ok := wants[name]; !ok {
			out = append(out, "header "+name+" is there as well")
		}
	}
	return out
}

// Remarks lists in what a webhook that somebody made differs from what the guide asks for.
func Remarks(w Webhook) []string { return Differences(w, New(w.Name, w.URL, w.Headers)) }

// lowered has the names in the form in which they are compared.
func lowered(h map[string]string) map[string]string {
	out := make(map[string]string, len(h))
	for name, value := range h {
		out[strings.ToLower(name)] = value
	}
	return out
}

// Shown is the webhook as it may be shown: without a query in its address, and without values of headers that look like
// secrets.
func (w Webhook) Shown() Webhook {
	if u, err := url.Parse(w.URL); err != nil {
		w.URL = "(no address)"
	} else if u.RawQuery != "" || u.User != nil {
		u.RawQuery, u.User = "", nil
		w.URL = u.String() + "?…"
	}
	headers := map[string]string{}
	for name, value := range w.Headers {
		for _, word := range []string{"auth", "token", "secret", "key", "password", "cookie", "signature"} {
			if strings.Contains(strings.ToLower(name), word) {
				value = "(not shown)"
			}
		}
		headers[name] = value
	}
	w.Headers = headers
	return w
}

// UnmarshalJSON takes an ID that is a number, too.
func (w *Webhook) UnmarshalJSON(b []byte) error {
	type plain Webhook
	var in struct {
		plain
		ID json.RawMessage `json:"id"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return errors.New("not a webhook")
	}
	*w = Webhook(in.plain)
	w.ID = strings.Trim(string(in.ID), `"`)
	return nil
}
