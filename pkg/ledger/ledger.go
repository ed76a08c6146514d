// Package ledger is the seam to the shared short-term memory of the workers: who is at work on a recording (claims), how
// often a delivery has failed (attempts), and what is known of a recording (the record). The driver for Redis is
// redisledger; memledger serves tests. Both pass the suite in ledgertest.
//
// The ledger only ever saves work. Empty, stale or away it may cost work done twice, never a lost, doubled or
// overwritten recording: every decision that matters rests on the stores and on JetStream. So each error means
// "unknown", is a fault of part Ledger, and the caller goes on without.
package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/twinreel/twinreel/pkg/tier"
)

// LeaseTime is how long a claim lives without renewal; it is renewed every RenewEvery.
const (
	LeaseTime  = 60 * time.Second
	RenewEvery = 20 * time.Second
)

// ErrLost is returned when a lease is no longer its holder's: it lapsed, and perhaps another has the claim.
var ErrLost = errors.New("the claim is no longer ours")

// ErrNoRecord is returned when the ledger knows nothing of a recording.
var ErrNoRecord = errors.New("no record")

// State is what a claim attempt found.
type State int

// The states of a claim.
const (
	Claimed State = iota // the lease is ours now
	Held                 // another holds the claim
	Done                 // the tier has stored the recording
)

// Claim is the answer to an attempt to claim a recording for a tier.
type Claim struct {
	State State
	Lease Lease // when State is Claimed
	// Orphan is the upload ID that an earlier holder left without finishing, "" if none. The new holder aborts exactly that one.
	Orphan string
}

// Lease is the right to work on one recording in one tier, until it lapses. Each method but Release returns ErrLost
// once the lease is not ours any more.
type Lease interface {
	// Renew makes the lease live for LeaseTime from now.
	Renew(ctx context.Context) error
	// Opened notes the ID of the upload that this holder opened, for the next one to abort should this one die.
	Opened(ctx context.Context, uploadID string) error
	// Finish marks the claim done, forgets the upload, and writes the copy into the record, at once; it returns the record as it is then.
	Finish(ctx context.Context, c Copy) (Record, error)
	// Release frees the claim for the next to come, if it is still ours; closed says that no upload is left open.
	Release(ctx context.Context, closed bool) error
}

// Copy is a verified copy of a recording in one tier, with what the record keeps of the recording as a whole.
type Copy struct {
	RecordingID string
	ReceivedAt  time.Time // when the webhook was accepted
	SHA256      string
	Size        int64
	Stored      Stored
}

// Stored says where and when a copy was stored. It is one side of the record.
type Stored struct {
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`
	ETag      string    `json:"etag"`
	VersionID string    `json:"versionId"`
	Timestamp time.Time `json:"timestamp"` // UTC
}

// Failure is one failed delivery, to be counted.
type Failure struct {
	Counted bool      // a failure of this recording, which counts towards attempts_exhausted
	Kind    string    // failures of one kind are also counted by themselves, e.g. a dead letter's reason; "" for none
	At      time.Time // by the caller's clock
}

// Attempts is what is known of the failures of one message in one tier.
type Attempts struct {
	Failed   int       // failed deliveries, of whatever cause
	Counted  int       // those that count towards attempts_exhausted
	OfKind   int       // those of the kind just counted
	FirstOf  time.Time // the first failure of that kind
	Previous time.Time // the failure before this one, zero if it is the first
}

// Message names a delivery's message: stream and sequence.
type Message struct {
	Stream   string
	Sequence uint64
}

// Ledger is the shared short-term memory. It is safe for concurrent use. id is the idempotency key.
type Ledger interface {
	// Claim tries to take the right to store the recording in tier t.
	Claim(ctx context.Context, id string, t tier.Tier) (Claim, error)
	// Finished marks the recording done in tier t and writes the copy into the record without holding a lease: for a copy that a Stat
	// proved (a Done claim, a redrive). It does not touch another's live lease. It returns the record as it is then.
	Finished(ctx context.Context, id string, t tier.Tier, c Copy) (Record, error)
	// Fail counts a failed delivery of m in tier t (and one retry in the record) and returns the counts including this one.
	Fail(ctx context.Context, id string, t tier.Tier, m Message, f Failure) (Attempts, error)
	// Attempts returns the counts of m in tier t as they are; kind as in Failure.
	Attempts(ctx context.Context, id string, t tier.Tier, m Message, kind string) (Attempts, error)
	// Letter notes in the record that tier t has an open dead letter of that reason; "" that it has none any more. Finish clears it, too.
	Letter(ctx context.Context, id string, t tier.Tier, reason string) error
	// Record returns what is known of the recording. ErrNoRecord.
	Record(ctx context.Context, id string) (Record, error)
	// Ping asks whether the ledger answers.
	Ping(ctx context.Context) error
}
