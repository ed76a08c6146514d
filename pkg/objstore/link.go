package objstore

import (
	"errors"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
)

// MaxLink is how long a Link is valid at most.
const MaxLink = time.Hour

// ErrCannotLink is returned by Reader.Link when the reader's credentials cannot sign an address that reads one object.
var ErrCannotLink = errors.New("these credentials cannot sign a link")

// Link is an address that reads one object, and does nothing else. Whoever has it needs no credentials until it expires:
// keep it as a secret.
type Link struct {
	URL       string
	ExpiresAt time.Time // UTC, in whole seconds; not later than the store refuses it
}

// LinkLife returns the whole seconds that a link asked for with ttl lives.
func LinkLife(op string, ttl time.Duration) (time.Duration, error) {
	if ttl < time.Second {
		return 0, Refuse(fault.Permanent, op, "a link lives for a second at least")
	}
	return min(ttl, MaxLink).Truncate(time.Second), nil
}
