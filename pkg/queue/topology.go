// Package queue is everything that Twinreel does with JetStream but the digest agreement: the names of streams,
// consumers and buckets, their provisioning, publishing with acknowledgement, the pull consumer whose handler's error is
// the verdict, dead letters and audit events.
//
// The rules it keeps: a publish counts only when the stream has acknowledged it; a message never leaves a consumer but by
// an acknowledgement that the server has confirmed; it is never given up by a count or an age of the server's.
package queue

import (
	"time"

	"github.com/twinreel/twinreel/pkg/tier"
)

// The streams.
const (
	Recordings  = "RECORDINGS"     // events; the ledger of what was acknowledged to the platforms
	DeadLetters = "RECORDINGS_DLQ" // events that a tier gave up
	Audit       = "AUDIT"          // the compliance log, before it is sealed
)

// The KV buckets.
const (
	Digests    = "twinreel-digests"
	Tiers      = "twinreel-tiers"
	Quarantine = "twinreel-quarantine"
	Tombstones = "twinreel-tombstones"
	Leases     = "twinreel-leases"
)

// Times and bounds that the contract fixes.
const (
	AckWait = 60 * time.Second // kept alive while a handler works
	// MaxAckPending is how many deliveries of a consumer may be under way, those included that wait for their next attempt.
	MaxAckPending = 50_000

	recordingsDuplicates = 10 * time.Minute
	lettersDuplicates    = 24 * time.Hour
	auditDuplicates      = 10 * time.Minute
	lettersMaxAge        = 90 * 24 * time.Hour
	markerTTL            = time.Hour
	volatileAge          = 60 * time.Second // of entries in twinreel-tiers and twinreel-leases
)

// Route says which tiers take an event live.
type Route string

// The routes: both tiers, or one while the other takes it later as backfill.
const (
	Both    Route = "both"
	Primary       = Route(tier.Primary)
	Backup        = Route(tier.Backup)
)

// CompletedSubject is where an accepted recording's event is published.
func CompletedSubject(r Route) string { return "recordings.completed." + string(r) }

// RedriveSubject is where an event is sent again to one tier.
func RedriveSubject(t tier.Tier) string { return "recordings.redrive." + t.String() }

// LetterSubject is where a tier's dead letters are published.
func LetterSubject(t tier.Tier) string { return "recordings.dlq." + t.String() }

// AuditSubject is where an audit event of that kind and tier (or "all") is published.
func AuditSubject(kind, tier string) string { return "audit." + kind + "." + tier }

// Lane is one of a tier's durable consumers.
type Lane string

// The lanes.
const (
	Live     Lane = "live"     // what the tier should take now
	Backfill Lane = "backfill" // what was routed to the sibling alone
)

// Lanes returns both lanes of the region's own events, live first.
func Lanes() [2]Lane { return [2]Lane{Live, Backfill} }

// ConsumerName is the durable consumer of tier t for that lane.
func ConsumerName(t tier.Tier, l Lane) string {
	switch l {
	case Backfill, PeerLane:
		return t.String() + "-" + string(l)
	}
	return t.String()
}

// consumerSubjects are what that consumer takes.
func consumerSubjects(t tier.Tier, l Lane) []string {
	switch l {
	case Backfill:
		return []string{CompletedSubject(Route(t.Sibling()))}
	case PeerLane: // also what was routed to the sibling alone: it is old enough to be backfill
		return []string{CompletedSubject(Both), CompletedSubject(Primary), CompletedSubject(Backup), RedriveSubject(t)}
	}
	return []string{CompletedSubject(Both), CompletedSubject(Route(t)), RedriveSubject(t)}
}
