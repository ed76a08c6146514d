package s3store

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// answer is what the server said instead of doing as it was asked.
type answer struct {
	status  int
	code    string // S3's error code; for a HEAD the status's name
	message string
	header  http.Header
}

// answered returns the server's refusal in err. ok is false when there was none: the request, or its answer, was lost.
func answered(err error) (a answer, ok bool) {
	if errors.Is(err, objstore.ErrNoCredentials) {
		return a, false // what was answered was not the store
	}
	var resp *smithyhttp.ResponseError
	var api smithy.APIError
	if errors.As(err, &resp) && resp.Response != nil && resp.Response.Response != nil {
		a.status, a.header = resp.Response.StatusCode, resp.Response.Header
	}
	if errors.As(err, &api) {
		a.code, a.message = api.ErrorCode(), api.ErrorMessage()
	}
	// CompleteMultipartUpload may answer 200 and then an error; an answer that breaks off has no code.
	return a, a.status >= http.StatusMultipleChoices || a.status != 0 && a.code != ""
}

// unsure classes the error of a committing call: where it leaves open what is stored now, it is objstore.ErrUnknown.
func (b *bucket) unsure(op string, err error) error {
	f := b.fail(op, err)
	if leavesOpen(err) {
		f.Err = fmt.Errorf("%w: %w", objstore.ErrUnknown, f.Err)
	}
	return f
}

// leavesOpen reports whether a committing call may have created an object, or met one, although it failed with err.
func leavesOpen(err error) bool {
	a, ok := answered(err)
	if !ok {
		return !objstore.NeverSent(err)
	}
	switch a.code {
	case "NoSuchUpload", "InvalidPart": // finished or aborted by another, or by us and the answer was lost
		return true
	}
	return a.status == http.StatusConflict || a.status == http.StatusPreconditionFailed ||
		a.code == "PreconditionFailed" || a.code == "ConditionalRequestConflict"
}

// fail puts err into its class.
func (b *bucket) fail(op string, err error) *fault.Error {
	a, ok := answered(err)
	if !ok {
		return fault.New(objstore.LostClass(err), fault.Store, op, fault.WithoutURL(err))
	}
	text := fmt.Sprintf("the store answered %d %s", a.status, a.code)
	if a.message != "" {
		text += ": " + a.message
	}
	f := fault.New(a.class(), fault.Store, op, errors.New(text))
	f.Status, f.RetryAfter = a.status, objstore.RetryAfter(a.header, b.now())
	return f
}

// class is the class of a refusal. A missing bucket, a wrong region, a key service that refuses are Denied, like refused
// credentials: the tier is set up wrongly, no recording is to blame, and none may be given up for it.
func (a answer) class() fault.Class {
	if strings.HasPrefix(a.code, "KMS.") && !strings.Contains(a.code, "Throttling") && a.status < http.StatusInternalServerError {
		return fault.Denied
	}
	switch a.code {
	case "SlowDown", "Throttling", "ThrottlingException", "KMS.ThrottlingException", "RequestLimitExceeded", "TooManyRequests",
		"TooManyRequestsException", "RequestThrottled", "RequestThrottledException", "BandwidthLimitExceeded":
		return fault.Throttled
	case "NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
		"AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return fault.Denied
	case "BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch":
		return fault.Corrupt
	case "InternalError", "ServiceUnavailable", "RequestTimeout":
		return fault.Unavailable
	case "IncompleteBody", "OperationAborted", "NoSuchUpload", "InvalidPart", "NoSuchKey", "NotFound":
		return fault.Transient
	}
	return objstore.StatusClass(a.status)
}

// absent reports whether err says that the key, and only the key, does not exist.
func absent(err error) bool {
	a, ok := answered(err)
	return ok && a.status == http.StatusNotFound && (a.code == "NoSuchKey" || a.code == "NotFound" || a.code == "")
}

// untagged reports that an object has no tags, which some servers say by an error.
func untagged(err error) bool {
	a, ok := answered(err)
	return ok && a.code == "NoSuchTagSet"
}
