package azstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// nobodysKey is a name that no blob ever had.
func nobodysKey() string { return "probe/doctor-" + rand.Text() }

// errDone says that a service did what it was meant to refuse.
var errDone = errors.New("the service carried out a request that it had to refuse")

// refused tells what a request that can never be carried out says about permissions: that it was stopped for want of one,
// or, by one of these codes, that it came further. Any other answer may have come before permissions were looked at.
func (i *Inspector) refused(op string, err error, further ...bloberror.Code) (permitted bool, _ error) {
	a, ok := answered(err)
	switch {
	case !ok:
		return false, i.fail(op, err)
	case unpermitted(a):
		return false, nil
	case slices.Contains(further, bloberror.Code(a.ErrorCode)):
		return true, nil
	case a.StatusCode == http.StatusUnauthorized, a.StatusCode == http.StatusForbidden, a.StatusCode == http.StatusTooManyRequests,
		a.StatusCode >= http.StatusInternalServerError:
		return false, i.fail(op, err)
	}
	return false, cannotTell("the service's answer says nothing about rights (%d %s)", a.StatusCode, a.ErrorCode)
}

// MayCreate implements objstore.Inspector: a conditional Put Blob whose MD5 is not its body's (Md5Mismatch).
func (i *Inspector) MayCreate(ctx context.Context, key string) (bool, error) {
	op := "ask whether " + key + " could be created"
	body := streaming.NopCloser(bytes.NewReader([]byte("never stored")))
	_, err := i.client.NewBlockBlobClient(key).Upload(ctx, body, &blockblob.UploadOptions{
		AccessConditions: absentOnly(), TransactionalValidation: blob.TransferValidationTypeMD5(make([]byte, 16)), CPKScopeInfo: i.config.scope(),
	})
	if err == nil {
		return true, fault.New(fault.Corrupt, fault.Store, op, errDone)
	}
	return i.refused(op, err, bloberror.MD5Mismatch, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet)
}

// MayOverwrite implements objstore.Inspector, by what the credentials say of themselves: whether a blob may be replaced shows
// only where there is one.
func (i *Inspector) MayOverwrite(ctx context.Context, _ string) (bool, error) {
	id, err := i.Identity(ctx)
	switch {
	case err != nil:
		return false, err
	case id.Owner:
		return true, nil
	case id.Rights != "":
		return strings.Contains(id.Rights, "w"), nil
	}
	return false, cannotTell("it shows in the role's definition only: az role assignment list")
}

// MayDelete implements objstore.Inspector: a delete of a blob that is not there.
func (i *Inspector) MayDelete(ctx context.Context) (bool, error) {
	const op = "ask whether blobs could be deleted"
	_, err := i.client.NewBlobClient(nobodysKey()).Delete(ctx, nil)
	if err == nil {
		return true, nil
	}
	return i.refused(op, err, bloberror.BlobNotFound, bloberror.ResourceNotFound)
}

// MayDeleteVersions implements objstore.Inspector: a delete of a version that is not there, of a blob that is not there.
func (i *Inspector) MayDeleteVersions(ctx context.Context) (bool, error) {
	const op = "ask whether versions could be deleted"
	version, err := i.client.NewBlobClient(nobodysKey()).WithVersionID("2000-01-01T00:00:00.0000000Z")
	if err != nil {
		return false, i.fail(op, err)
	}
	if _, err = version.Delete(ctx, nil); err == nil {
		return true, nil
	}
	return i.refused(op, err, bloberror.BlobNotFound, bloberror.ResourceNotFound)
}

// Identity implements objstore.Inspector.
func (i *Inspector) Identity(ctx context.Context) (objstore.Identity, error) {
	id, err := i.signer.identify(ctx)
	if err != nil {
		return objstore.Identity{}, i.fail("find credentials", err)
	}
	return id, nil
}
