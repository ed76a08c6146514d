package azstore

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/settings"
)

// token is an identity that always has one.
type token struct{}

func (token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "token-of-the-test", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// keyService hands out user delegation keys, as the service's Get User Delegation Key does, and counts them.
type keyService struct {
	status int
	asked  []string
}

const keyXML = `<?xml version="1.0" encoding="utf-8"?><UserDelegationKey><SignedOid>o</SignedOid><SignedTid>t</SignedTid>` +
	`<SignedStart>%s</SignedStart><SignedExpiry>%s</SignedExpiry><SignedService>b</SignedService><SignedVersion>2024-11-04</SignedVersion>` +
	`<Value>a2V5LW9mLXRoZS10ZXN0</Value></UserDelegationKey>`

// Do implements policy.Transporter.
func (k *keyService) Do(req *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	between := func(tag string) string {
		_, rest, _ := strings.Cut(string(b), "<"+tag+">")
		value, _, _ := strings.Cut(rest, "<")
		return value
	}
	k.asked = append(k.asked, req.URL.Query().Get("comp")+" until "+between("Expiry"))
	return &http.Response{
		StatusCode: k.status, Header: http.Header{"Content-Type": {"application/xml"}}, Request: req,
		Body: io.NopCloser(strings.NewReader(fmt.Sprintf(keyXML, between("Start"), between("Expiry")))),
	}, nil
}

// identifiedReader reads the account at example.com as an identity, at a time that the test sets.
func identifiedReader(t *testing.T, keys *keyService, now *time.Time) *Reader {
	t.Helper()
	clock := func() time.Time { return *now }
	client, signer, err := identified("https://account.blob.example.com", "recordings", identity{token{}},
		&container.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: keys, Retry: policy.RetryOptions{MaxRetries: -1}}}, clock)
	if err != nil {
		t.Fatal(err)
	}
	return &Reader{account{client: client, signer: signer, name: "recordings", now: clock}}
}

func TestAnIdentityLinksByADelegatedKeyThatServesManyLinks(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	keys := &keyService{status: http.StatusOK}
	r := identifiedReader(t, keys, &now)
	for range 3 {
		l, err := r.Link(t.Context(), "recordings/a b.wav", 10*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(l.URL)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if u.Path != "/recordings/recordings/a b.wav" || q.Get("sp") != "r" || q.Get("sr") != "b" || q.Get("spr") != "https" || q.Get("skoid") != "o" {
			t.Errorf("signed %s for %s", q, u.Path)
		}
		if want := now.Add(10 * time.Minute); !l.ExpiresAt.Equal(want) || q.Get("se") != want.Format(time.RFC3339) {
			t.Errorf("ends %v (%s), want %v", l.ExpiresAt, q.Get("se"), want)
		}
		now = now.Add(30 * time.Minute)
	}
	now = now.Add(time.Hour)
	if _, err := r.Link(t.Context(), "recordings/a.wav", time.Hour); err != nil {
		t.Fatal(err)
	}
	want := []string{"userdelegationkey until 2026-11-23T12:00:00Z", "userdelegationkey until 2026-11-23T14:30:00Z"}
	if fmt.Sprint(keys.asked) != fmt.Sprint(want) {
		t.Errorf("asked for keys %q, want %q", keys.asked, want)
	}
}

func TestAnIdentityThatMayNotDelegateIsDenied(t *testing.T) {
	now := time.Now()
	r := identifiedReader(t, &keyService{status: http.StatusForbidden}, &now)
	if l, err := r.Link(t.Context(), "recordings/a.wav", time.Hour); l.URL != "" || !fault.Is(err, fault.Denied, fault.Store) {
		t.Errorf("%v (%v)", err, fault.ClassOf(err))
	}
}

func TestALinkIsSignedByTheKeyAsItIsNow(t *testing.T) {
	r, err := OpenReader(t.Context(), Config{ServiceURL: "https://a.example.com", Container: "recordings", AccountName: "a", AccountKey: settings.NewSecret("b25l")})
	if err != nil {
		t.Fatal(err)
	}
	one, err := r.Link(t.Context(), "k", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r.signer.(*rotatingKey).secret = settings.NewSecret("dHdv") // what a changed file does
	two, err := r.Link(t.Context(), "k", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	sig := func(link string) string { _, s, _ := strings.Cut(link, "sig="); return s }
	if sig(one.URL) == sig(two.URL) {
		t.Error("the changed key does not sign")
	}
}
