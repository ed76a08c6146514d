// Package plan says what is wrong with the recordings, and what would be done about it: from three lists – what primary
// holds, what backup holds, what was acknowledged – and from the evidence of each recording in which they differ.
//
// A plan is data: it can be shown, counted and limited before anything is done. Whoever carries it out looks again first.
package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

// Kind is what is wrong.
type Kind string

// The kinds of finding.
const (
	MissingPrimary  Kind = "missing_primary"
	MissingBackup   Kind = "missing_backup"
	MissingBoth     Kind = "missing_both"
	SizeDiffers     Kind = "size_differs"     // from what was agreed on
	ChecksumDiffers Kind = "checksum_differs" // likewise; or the tiers' sidecars differ
	Versions        Kind = "versions"         // more than one, that differ
	TwoKeys         Kind = "two_keys"         // another media object of the recording
	Restored        Kind = "restored"         // more than one version, all the same: deleted and created again
	Expired         Kind = "expired"          // past retention
	Erased          Kind = "erased"           // forgotten, and a copy is still there
	UnknownObject   Kind = "unknown_object"   // the ledger knows of no recording that it could belong to
	TagsDiffer      Kind = "tags_differ"
	MetadataMissing Kind = "metadata_missing" // the media without the sidecar
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{
		MissingPrimary, MissingBackup, MissingBoth, SizeDiffers, ChecksumDiffers, Versions, TwoKeys, Restored, Expired, Erased, UnknownObject, TagsDiffer,
		MetadataMissing,
	}
}

// Action is what would be done about a finding.
type Action string

// The actions.
const (
	Copy       Action = "copy"        // sent to the tier again, with a link to the sibling's copy
	Fetch      Action = "fetch"       // sent again, to be fetched from the platform
	Explain    Action = "explain"     // sent again, so that the tier writes its sidecar
	Await      Action = "await"       // sent again already: the next run will see
	AwaitHuman Action = "letter"      // it has an open dead letter: replay or discard that
	Quarantine Action = "quarantine"  // noted as evidence, for a person to look at; never mended by overwriting
	Report     Action = "report"      // only said
	Known      Action = "quarantined" // noted before
)

// Sends says that the action sends the recording to a tier again.
func (a Action) Sends() bool { return a == Copy || a == Fetch || a == Explain }

// All is a finding's tier where it concerns both.
const All = "all"

// Finding is one thing that is wrong.
type Finding struct {
	Kind           Kind   `json:"kind"`
	Tier           string `json:"tier"`           // primary, backup, all
	IdempotencyKey string `json:"idempotencyKey"` // "" for an object that belongs to no recording
	ObjectKey      string `json:"objectKey"`
	Evidence       string `json:"evidence"`
	Action         Action `json:"action"`

	sends []Send // to whom the action sends the recording again
}

// Send is one event that the plan would send.
type Send struct {
	Tier     tier.Tier `json:"tier"`
	Sequence uint64    `json:"sequence"`       // of the accepted event in RECORDINGS; 0: it is not there
	Peer     uint64    `json:"peer,omitempty"` // likewise, in the mirror of the peer region's
	After    uint64    `json:"after"`          // of the newest event that was sent to the tier before
	// Expect is what the sealed log says the bytes are, where nobody else remembers. nil: somebody does, or nobody.
	Expect *digest.Digest `json:"expect,omitempty"`
}

// Event is where the accepted event is that is sent again: RECORDINGS, or the mirror of the peer region's. found is false where
// neither has it.
func (s Send) Event() (stream string, sequence uint64, found bool) {
	if s.Sequence > 0 {
		return queue.Recordings, s.Sequence, true
	}
	return queue.PeerRecordings, s.Peer, s.Peer > 0
}

// Sends are the events that the finding's action sends.
func (f Finding) Sends() []Send { return f.sends }

// Open says that the finding needs work that is not done: nobody has noted it yet, or the recording lacks something.
func (f Finding) Open() bool { return f.Action != Report && f.Action != Known }

// About is the record of quarantine that the finding belongs to.
func (f Finding) About() quarantine.About {
	return quarantine.About{IdempotencyKey: f.IdempotencyKey, ObjectKey: f.ObjectKey}
}

// Difference is the finding as it is noted in quarantine.
func (f Finding) Difference() quarantine.Difference {
	return quarantine.Difference{Kind: string(f.Kind), Tier: f.Tier, ObjectKey: f.ObjectKey, Evidence: f.Evidence}
}

// ID names a plan by what it would do, the same whoever makes it and whenever: the findings' order does not matter.
type ID [sha256.Size]byte

// Add takes in a finding. Only what sends anything counts: what else is found changes nothing of what is approved.
func (id *ID) Add(f Finding) {
	if !f.Action.Sends() {
		return
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q", f.Kind, f.Tier, f.IdempotencyKey, f.ObjectKey, f.Action))
	var carry uint
	for i := range id { // a sum, as of two long numbers
		carry += uint(id[i]) + uint(sum[i])
		id[i] = byte(carry)
		carry >>= 8
	}
}

// String is the plan's ID as it is shown and approved.
func (id ID) String() string {
	sum := sha256.Sum256(id[:])
	return hex.EncodeToString(sum[:8])
}
