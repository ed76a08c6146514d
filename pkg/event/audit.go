package event

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// AuditKind is what an audit event reports.
type AuditKind string

// The kinds of audit event.
const (
	AuditStored             AuditKind = "stored"              // this delivery's commit created the object
	AuditAlreadyPresent     AuditKind = "already_present"     // a Stat found the expected bytes
	AuditAcceptedUnverified AuditKind = "accepted_unverified" // found, of the right size, but the store has no checksum for it
	AuditDead               AuditKind = "dead"                // given up: a dead letter
	AuditReplayed           AuditKind = "replayed"            // a dead letter sent again
	AuditRedriven           AuditKind = "redriven"            // sent again by repair; with reason link_expired: a redrive came too late
	AuditConflict           AuditKind = "conflict"            // the agreement changed under a commit
	AuditTierDegraded       AuditKind = "tier_degraded"       // a worker's store failed several times in a row
	AuditTierParked         AuditKind = "tier_parked"         // a worker's store refuses its identity
	AuditTierRecovered      AuditKind = "tier_recovered"      // it is well again
	AuditDiscarded          AuditKind = "discarded"           // a dead letter removed by an operator
	AuditResolved           AuditKind = "resolved"            // a dead letter removed because the tier has its copy
	AuditTierPaused         AuditKind = "tier_paused"
	AuditTierResumed        AuditKind = "tier_resumed"
	AuditRead               AuditKind = "read"        // a record or a recording was read
	AuditConfirmed          AuditKind = "confirmed"   // the reconciler's own look found the tier's copy as agreed
	AuditForgotten          AuditKind = "forgotten"   // erased on purpose: never brought back
	AuditQuarantined        AuditKind = "quarantined" // a difference that is evidence, and is never mended by overwriting
	AuditRun                AuditKind = "run"         // a run of the reconciler: what it found and did
	AuditRegister           AuditKind = "register"    // a webhook was registered on a platform
	AuditMark               AuditKind = "mark"        // where the log is sealed
)

// AuditAll is the last token of an audit subject that concerns no single tier.
const AuditAll = "all"

// Audit is one line of the compliance log. It never holds a participant, a URL or a secret.
type Audit struct {
	Kind AuditKind
	Tier string // a tier's name, or AuditAll
	// MsgID makes the event one, however often it is published: <kind>/<tier>/<stream>/<sequence> where it follows a delivery.
	MsgID string
	Time  time.Time
	Data  AuditData
}

// AuditData is the payload; fields are set as they apply.
type AuditData struct {
	Tier           string `json:"tier,omitempty"`
	IdempotencyKey string `json:"idempotencyKey,omitempty"`
	ObjectKey      string `json:"objectKey,omitempty"`
	Bucket         string `json:"bucket,omitempty"`
	ETag           string `json:"etag,omitempty"`
	VersionID      string `json:"versionId,omitempty"`
	SHA256         string `json:"sha256,omitempty"`
	CRC64NVME      string `json:"crc64nvme,omitempty"`
	Size           *int64 `json:"size,omitempty"`
	Reason         string `json:"reason,omitempty"`
	By             string `json:"by,omitempty"`
	Case           string `json:"case,omitempty"` // of an erasure: whose request it follows

	Counts map[string]int64 `json:"counts,omitempty"` // of a run
}

// DeliveryID returns the message ID of an audit event that follows a delivery of stream and sequence to tier.
func DeliveryID(kind AuditKind, tier, stream string, seq uint64) string {
	return fmt.Sprintf("%s/%s/%s/%d", kind, tier, stream, seq)
}

// Delivery is what a message ID of DeliveryID names.
type Delivery struct {
	Kind         AuditKind
	Tier, Stream string
	Sequence     uint64
}

// ParseDeliveryID is the inverse of DeliveryID; false for any other ID.
func ParseDeliveryID(id string) (d Delivery, ok bool) {
	part := strings.Split(id, "/")
	if len(part) != 4 {
		return Delivery{}, false
	}
	seq, err := strconv.ParseUint(part[3], 10, 64)
	return Delivery{AuditKind(part[0]), part[1], part[2], seq}, err == nil
}

// TurnID returns the message ID of an audit event about how an instance sees its tier, from a time on.
func TurnID(kind AuditKind, tier, instance string, since time.Time) string {
	return fmt.Sprintf("%s/%s/%s/%d", kind, tier, instance, since.UnixNano())
}

// Encode returns the audit event as a CloudEvent. Without a MsgID it gets a random ID.
func (a Audit) Encode() ([]byte, error) {
	id := a.MsgID
	if id == "" {
		id = rand.Text()
	}
	b, err := json.Marshal(struct {
		SpecVersion     string    `json:"specversion"`
		ID              string    `json:"id"`
		Source          string    `json:"source"`
		Type            string    `json:"type"`
		Subject         string    `json:"subject,omitempty"`
		Time            time.Time `json:"time"`
		DataContentType string    `json:"datacontenttype"`
		Data            AuditData `json:"data"`
	}{specVersion, id, "/twinreel/audit", "com.twinreel.audit." + string(a.Kind) + ".v1", a.Data.IdempotencyKey, a.Time.UTC(), "application/json", a.Data})
	if err != nil {
		return nil, fmt.Errorf("encode audit event: %w", err)
	}
	return b, nil
}
