package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// Fetcher answers a request, as *http.Client does.
type Fetcher interface {
	Do(req *http.Request) (*http.Response, error)
}

// copies judges whether the other tier can be repaired from this one: a link is made for a recording that is not there, and
// asked for as the sibling's worker would.
func (s Store) copies(ctx context.Context) Check {
	q := question{
		s.name("copies"), "the reconciler can hand out a short-lived link to one recording",
		"that is how the other tier gets back what it lost when the platform no longer has it",
	}
	mend := s.byHand("permit the reconciler s3:GetObject on recordings/*", "give the reconciler an identity with the roles Storage Blob Data Reader and Storage Blob Delegator (or, less narrow, the account key)")
	const life = time.Minute
	link, err := s.Inspector.Link(ctx, "recordings/doctor-probe.wav", life)
	switch {
	case errors.Is(err, objstore.ErrCannotLink):
		return q.fail(mend, "%v", err)
	case err != nil:
		return q.fail(mend, "it cannot be signed: %v", err)
	}
	status, err := s.follow(ctx, link.URL)
	switch {
	case err != nil:
		return q.fail("see that the workers' network reaches the store", "a link was signed but does not answer: %s", fault.Text(fault.WithoutURL(err)))
	case status == http.StatusNotFound, status == http.StatusOK, status == http.StatusPartialContent:
		return q.pass("a link was signed, and the store took it (%d for a recording that is not there)", status)
	}
	return q.fail(mend, "a link was signed, but the store refused it (%d)", status)
}

// follow asks for one byte.
func (s Store) follow(ctx context.Context, address string) (status int, err error) {
	const timeout = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, errors.New("the link is no address")
	}
	req.Header.Set("Range", "bytes=0-0")
	var client Fetcher = http.DefaultClient
	if s.Fetch != nil {
		client = s.Fetch
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}

// origins judges whether a worker takes copies from where its sibling's links lead.
func origins(ctx context.Context, who Identity, sibling objstore.Inspector) (Check, bool) {
	q := question{
		who.Role.String() + ".origins", "TWINREEL_COPY_FROM_ORIGINS names the sibling's store",
		"the worker takes copies from these origins alone: from elsewhere a repair's link is refused",
	}
	if sibling == nil {
		return Check{}, false
	}
	link, err := sibling.Link(ctx, "recordings/doctor-probe.wav", time.Minute)
	if err != nil {
		return Check{}, false // said by the sibling's copies
	}
	u, err := url.Parse(link.URL)
	if err != nil {
		return Check{}, false
	}
	origin := fmt.Sprintf("%s://%s", u.Scheme, u.Host)
	switch {
	case slices.Contains(who.Origins, origin):
		return q.pass("%s is among them", u.Host), true
	case len(who.Origins) == 0:
		return q.fail("set TWINREEL_COPY_FROM_ORIGINS of "+who.Role.String()+" to scheme and host of the sibling's store", "it is not set: the worker takes no copies, and repairs rest on the platform alone"), true
	}
	return q.fail("add scheme and host of the sibling's store to TWINREEL_COPY_FROM_ORIGINS of "+who.Role.String(), "links to the sibling's copies lead to %s, which is not among them", u.Host), true
}
