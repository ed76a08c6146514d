package azstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

func TestCombinedChecksumsAreTheWholes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, sizes := range [][]int{{0}, {1}, {0, 0}, {1, 0, 1}, {5, 3}, {4096, 4096, 17}, {1 << 20, 1, 1 << 20}} {
		var whole []byte
		var crc uint64
		for _, size := range sizes {
			part := make([]byte, size)
			for i := range part {
				part[i] = byte(random.Uint32())
			}
			whole = append(whole, part...)
			crc = combine(crc, digest.CRC64(part), int64(size))
		}
		if want := digest.CRC64(whole); crc != want {
			t.Errorf("%v: %016x, want %016x", sizes, crc, want)
		}
	}
}

func TestCombiningMindsTheOrder(t *testing.T) {
	a, b := digest.CRC64([]byte("one")), digest.CRC64([]byte("two"))
	if combine(a, b, 3) == combine(b, a, 3) {
		t.Error("the parts could be swapped unseen")
	}
}

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
