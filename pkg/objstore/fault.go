package objstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/twinreel/twinreel/pkg/fault"
)

// ErrNoCredentials says that a request was never made for want of credentials.
var ErrNoCredentials = errors.New("no credentials for the store")

// StatusClass is the class of a refusal whose code says no more than its status.
func StatusClass(status int) fault.Class {
	switch {
	case status == http.StatusTooManyRequests:
		return fault.Throttled
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status/100 == 3:
		return fault.Denied
	case status == http.StatusRequestTimeout, status >= http.StatusInternalServerError:
		return fault.Unavailable
	case status == http.StatusNotFound, status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return fault.Transient
	case status >= http.StatusBadRequest:
		return fault.Permanent
	}
	return fault.Transient
}

// LostClass is the class of an error without an answer.
func LostClass(err error) fault.Class {
	switch {
	case errors.Is(err, context.Canceled):
		return fault.Transient
	case errors.Is(err, ErrNoCredentials) && !fault.IsNetwork(err):
		return fault.Denied
	}
	return fault.Unavailable
}

// NotExist is ErrNotExist as a fault.
func NotExist(op string) error {
	f := fault.New(fault.Transient, fault.Store, op, ErrNotExist)
	f.Status = http.StatusNotFound
	return f
}

// Refuse is the fault of what a driver will not do.
func Refuse(class fault.Class, op, format string, args ...any) error {
	return fault.New(class, fault.Store, op, fmt.Errorf(format, args...))
}
