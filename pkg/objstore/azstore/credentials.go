package azstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/settings"
)

// connect makes the container's client with the credentials that c has, and what signs links by them.
func connect(c Config, o *container.ClientOptions, now func() time.Time) (*container.Client, signer, error) {
	root, address := strings.TrimRight(c.ServiceURL, "/"), c.address()
	switch {
	case c.AccountKey.IsSet():
		key := c.AccountKey.Get()
		cred, err := container.NewSharedKeyCredential(c.AccountName, key)
		if err != nil {
			return nil, nil, errors.New("the account key is not base64")
		}
		rotating := &rotatingKey{secret: c.AccountKey, credential: cred, used: key}
		o.PerCallPolicies = append(o.PerCallPolicies, rotating)
		client, err := container.NewClientWithSharedKeyCredential(address, cred, o)
		return client, rotating, err
	case c.SASToken.IsSet():
		o.PerRetryPolicies = append(o.PerRetryPolicies, rotatingSAS{c.SASToken})
		client, err := container.NewClientWithNoCredential(address, o)
		return client, rotatingSAS{c.SASToken}, err
	}
	cred, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, nil, fmt.Errorf("find Azure credentials: %w", err)
	}
	return identified(root, c.Container, identity{cred}, o, now)
}

// address is the container's.
func (c Config) address() string { return strings.TrimRight(c.ServiceURL, "/") + "/" + c.Container }

// identified makes the client of an identity.
func identified(root, name string, cred azcore.TokenCredential, o *container.ClientOptions, now func() time.Time) (*container.Client, signer, error) {
	client, err := container.NewClient(root+"/"+name, cred, o)
	if err != nil {
		return nil, nil, err
	}
	account, err := service.NewClient(root, cred, &service.ClientOptions{ClientOptions: o.ClientOptions})
	return client, &delegation{service: account, credential: cred, now: now}, err
}

// rotatingKey hands the account key over to the credential whenever it changes.
type rotatingKey struct {
	secret     settings.Secret
	credential *container.SharedKeyCredential

	mu   sync.Mutex
	used string
}

// Do implements policy.Policy.
func (k *rotatingKey) Do(req *policy.Request) (*http.Response, error) {
	k.refresh(k.secret.Get())
	return req.Next()
}

// refresh takes a changed key into use. What is no key leaves the last good one.
func (k *rotatingKey) refresh(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key != k.used && k.credential.SetAccountKey(key) == nil {
		k.used = key
	}
}

// rotatingSAS adds the signature, as it is now, to each request.
type rotatingSAS struct{ secret settings.Secret }

// Do implements policy.Policy.
func (s rotatingSAS) Do(req *policy.Request) (*http.Response, error) {
	signature, err := query(s.secret.Get())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", objstore.ErrNoCredentials, err)
	}
	u := req.Raw().URL
	all := u.Query()
	for name, values := range signature {
		all[name] = values
	}
	u.RawQuery = all.Encode()
	return req.Next()
}

// query parses a shared access signature, with or without its question mark; "" is none.
func query(sas string) (url.Values, error) {
	v, err := url.ParseQuery(strings.TrimPrefix(strings.TrimSpace(sas), "?"))
	if err != nil || len(v) > 0 && v.Get("sig") == "" {
		return nil, errors.New("not a shared access signature")
	}
	return v, nil
}

// identity marks the errors of getting a token: then no request was made.
type identity struct{ azcore.TokenCredential }

// GetToken implements azcore.TokenCredential.
func (i identity) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := i.TokenCredential.GetToken(ctx, o)
	if err != nil {
		return token, fmt.Errorf("%w: %w", objstore.ErrNoCredentials, err)
	}
	return token, nil
}
