package azstore

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// answered returns the service's refusal in err. ok is false when there was none: the request, or its answer, was lost.
func answered(err error) (a *azcore.ResponseError, ok bool) {
	ok = errors.As(err, &a) && a.StatusCode >= http.StatusMultipleChoices && !errors.Is(err, objstore.ErrNoCredentials)
	return a, ok
}

// unsure classes the error of a committing call: where it leaves open what is stored now, it is objstore.ErrUnknown.
func (s *account) unsure(op string, err error) error {
	f := s.fail(op, err)
	if leavesOpen(err) {
		f.Err = fmt.Errorf("%w: %w", objstore.ErrUnknown, f.Err)
	}
	return f
}

// leavesOpen reports whether a committing call may have created a blob, or met one, although it failed with err.
func leavesOpen(err error) bool {
	a, ok := answered(err)
	if !ok {
		return !objstore.NeverSent(err)
	}
	switch bloberror.Code(a.ErrorCode) {
	case bloberror.ContainerBeingDeleted, bloberror.ContainerDisabled, bloberror.AccountBeingCreated:
		return false
	case bloberror.InvalidBlockList: // a commit of another, or our own whose answer was lost, took or dropped the blocks
		return true
	case bloberror.UnauthorizedBlobOverwrite: // a signature that may only create is refused so, whatever the condition
		return true
	}
	return a.StatusCode == http.StatusConflict || a.StatusCode == http.StatusPreconditionFailed
}

// fail puts err into its class. The text of a refusal is left out but for its code: it is long, and quotes signatures.
func (s *account) fail(op string, err error) *fault.Error {
	a, ok := answered(err)
	if !ok {
		return fault.New(objstore.LostClass(err), fault.Store, op, fault.WithoutURL(err))
	}
	f := fault.New(class(bloberror.Code(a.ErrorCode), a.StatusCode), fault.Store, op, fmt.Errorf("the store answered %d %s", a.StatusCode, a.ErrorCode))
	f.Status = a.StatusCode
	if a.RawResponse != nil {
		f.RetryAfter = objstore.RetryAfter(a.RawResponse.Header, s.now())
	}
	return f
}

// class is the class of a refusal. A missing container or encryption scope is Denied, like refused credentials: the tier
// is set up wrongly, no recording is to blame, and none may be given up for it.
func class(code bloberror.Code, status int) fault.Class {
	switch code {
	case bloberror.ServerBusy, bloberror.OperationTimedOut:
		return fault.Throttled
	case bloberror.ContainerNotFound, bloberror.ContainerBeingDeleted, bloberror.ContainerDisabled, bloberror.AccountBeingCreated,
		bloberror.AccountIsDisabled, bloberror.InvalidAuthenticationInfo, "EncryptionScopeNotFound", "EncryptionScopeDisabled", "KeyVaultEncryptionKeyNotFound":
		return fault.Denied
	case bloberror.MD5Mismatch, bloberror.CRC64Mismatch:
		return fault.Corrupt
	case bloberror.UnauthorizedBlobOverwrite, bloberror.InvalidBlockList:
		return fault.Transient
	}
	return objstore.StatusClass(status)
}

// absent reports whether err says that the blob, and only the blob, does not exist.
func absent(err error) bool {
	a, ok := answered(err)
	return ok && a.StatusCode == http.StatusNotFound && class(bloberror.Code(a.ErrorCode), a.StatusCode) != fault.Denied
}
