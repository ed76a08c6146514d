package azstore

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// broken is an identity that gets no token.
type broken struct{ err error }

func (b broken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{}, b.err
}

func TestWithoutATokenNothingWasSent(t *testing.T) {
	s := &account{now: time.Now}
	for _, c := range []struct {
		cause error
		class fault.Class
	}{
		{errors.New("no identity is configured"), fault.Denied},
		{&azcore.ResponseError{StatusCode: 400, ErrorCode: "invalid_client"}, fault.Denied},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, fault.Unavailable},
	} {
		_, err := identity{broken{c.cause}}.GetToken(t.Context(), policy.TokenRequestOptions{})
		if f := s.unsure("put k", err); !fault.Is(f, c.class, fault.Store) || errors.Is(f, objstore.ErrUnknown) {
			t.Errorf("%v: %v (%v)", c.cause, f, fault.ClassOf(f))
		}
	}
}

func TestWithNeitherKeyNorSignatureTheSDKsOwnChainIsUsed(t *testing.T) {
	s, err := Open(t.Context(), Config{ServiceURL: "https://127.0.0.1:1", Container: "recordings"})
	if err != nil || s.Bucket() != "recordings" {
		t.Fatalf("%v %v", s, err)
	}
}
