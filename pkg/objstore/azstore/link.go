package azstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// Life of a user delegation key (the service allows seven days), and how much earlier it begins, for clocks that differ.
const (
	keyLife  = 2 * objstore.MaxLink
	keyEarly = 5 * time.Minute
)

// signer signs what a link may do, by the credentials that the client has.
type signer interface {
	sign(ctx context.Context, v sas.BlobSignatureValues) (sas.QueryParameters, error)
	// identify says whose credentials they are.
	identify(ctx context.Context) (objstore.Identity, error)
}

// Link implements objstore.Reader by a service SAS of the blob: signed by the account's key, or by a user delegation key
// where there is an identity. A signature cannot make a narrower one: objstore.ErrCannotLink.
func (r *Reader) Link(ctx context.Context, key string, ttl time.Duration) (objstore.Link, error) {
	op := "link " + key
	life, err := objstore.LinkLife(op, ttl)
	if err != nil {
		return objstore.Link{}, err
	}
	address := r.client.NewBlobClient(key).URL()
	v := sas.BlobSignatureValues{
		Protocol: sas.ProtocolHTTPS, ContainerName: r.name, BlobName: key, Permissions: to.Ptr(sas.BlobPermissions{Read: true}).String(),
		ExpiryTime: r.now().UTC().Truncate(time.Second).Add(life),
	}
	if strings.HasPrefix(address, "http:") {
		v.Protocol = sas.ProtocolHTTPSandHTTP
	}
	query, err := r.signer.sign(ctx, v)
	switch {
	case errors.Is(err, objstore.ErrCannotLink):
		return objstore.Link{}, fault.New(fault.Denied, fault.Store, op, err)
	case err != nil:
		return objstore.Link{}, r.fail(op, err)
	}
	return objstore.Link{URL: address + "?" + query.Encode(), ExpiresAt: v.ExpiryTime}, nil
}

// sign implements signer.
func (k *rotatingKey) sign(_ context.Context, v sas.BlobSignatureValues) (sas.QueryParameters, error) {
	k.refresh(k.secret.Get())
	return v.SignWithSharedKey(k.credential)
}

// sign implements signer.
func (rotatingSAS) sign(context.Context, sas.BlobSignatureValues) (sas.QueryParameters, error) {
	return sas.QueryParameters{}, fmt.Errorf("%w: TWINREEL_AZURE_SAS_TOKEN cannot make a narrower one; set TWINREEL_AZURE_ACCOUNT_KEY, or neither "+
		"for an identity", objstore.ErrCannotLink)
}

// delegation signs by a key that the service hands out to an identity with the right to ask for it.
type delegation struct {
	service    *service.Client
	credential azcore.TokenCredential
	now        func() time.Time

	mu    sync.Mutex
	key   *service.UserDelegationCredential
	until time.Time
}

// sign implements signer. A key serves all links that end before it does.
func (d *delegation) sign(ctx context.Context, v sas.BlobSignatureValues) (sas.QueryParameters, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.ExpiryTime.After(d.until) {
		now := d.now().UTC().Truncate(time.Second)
		until := now.Add(keyLife)
		key, err := d.service.GetUserDelegationCredential(ctx, service.KeyInfo{
			Start: to.Ptr(now.Add(-keyEarly).Format(sas.TimeFormat)), Expiry: to.Ptr(until.Format(sas.TimeFormat)),
		}, nil)
		if err != nil {
			return sas.QueryParameters{}, err
		}
		d.key, d.until = key, until
	}
	return v.SignWithUserDelegation(d.key)
}
