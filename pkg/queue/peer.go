package queue

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/tier"
)

// What a region holds of its peer, the other region over the same two stores: mirrors, which nobody here can write to. A
// mirror keeps sequences and times as they are at home.
const (
	PeerRecordings = "RECORDINGS_PEER"          // its RECORDINGS: what it answered 200 for
	PeerAudit      = "AUDIT_PEER"               // its AUDIT: what it stored, as far as that is still in its stream
	PeerDigests    = "twinreel-digests-peer"    // its agreements
	PeerTombstones = "twinreel-tombstones-peer" // what was forgotten there
)

// PeerLane is a tier's consumer of the peer's events: only what the peer itself did not get done is left to do.
const PeerLane Lane = "peer"

// streamOf is the stream that a lane's consumer is of.
func streamOf(l Lane) string {
	if l == PeerLane {
		return PeerRecordings
	}
	return Recordings
}

// domainName is what JetStream takes for a domain in a subject.
var domainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Peer names the other region, by the JetStream domain of its servers. The zero value: there is none.
type Peer struct {
	Domain string `env:"TWINREEL_PEER_DOMAIN" meaning:"JetStream domain of the other region over the same stores, whose events are mirrored and followed; unset: there is none"`
}

// Check implements settings.Checker.
func (p *Peer) Check() []settings.Problem {
	if p.Domain == "" || domainName.MatchString(p.Domain) {
		return nil
	}
	return []settings.Problem{{Variable: "TWINREEL_PEER_DOMAIN", Text: "want a JetStream domain: letters, digits, - and _"}}
}

// Known reports whether there is a peer.
func (p Peer) Known() bool { return p.Domain != "" }

// prefix is where the peer's JetStream is asked from here: its servers and ours are joined by a leaf node connection, over
// which nothing but these requests, and what mirrors are sent, may pass.
func (p Peer) prefix() string { return "$JS." + p.Domain + ".API" }

// JetStream asks the peer's JetStream, over the connection to our own servers. While the regions are cut off from each other
// nothing answers.
func (p Peer) JetStream(own jetstream.JetStream) (jetstream.JetStream, error) {
	if !p.Known() {
		return nil, errors.New("there is no peer region: TWINREEL_PEER_DOMAIN is not set")
	}
	js, err := jetstream.NewWithDomain(own.Conn(), p.Domain)
	if err != nil {
		return nil, fmt.Errorf("ask the peer region %s: %w", p.Domain, err)
	}
	return js, nil
}

// Streams are the mirrors' streams, for Provisioned; none where there is no peer.
func (p Peer) Streams() []string {
	if !p.Known() {
		return nil
	}
	return []string{PeerRecordings, PeerAudit, BucketStream(PeerDigests), BucketStream(PeerTombstones)}
}

// mirrors returns the configuration of the mirrors. RECORDINGS's takes nothing once it is full, rather than forget what it
// has: it is the ledger of what the peer acknowledged. AUDIT's forgets its oldest: the peer seals it, and what is of use
// here is the newest.
func (p Peer) mirrors(s Sizes, replicas int) []jetstream.StreamConfig {
	if !p.Known() {
		return nil
	}
	base := func(name, of, about string) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Description: "Twinreel: " + about, Storage: jetstream.FileStorage, Replicas: replicas, Retention: jetstream.LimitsPolicy,
			Discard: jetstream.DiscardNew, AllowDirect: true, DenyDelete: true,
			Mirror: &jetstream.StreamSource{Name: of, External: &jetstream.ExternalStream{APIPrefix: p.prefix()}},
		}
	}
	rec := base(PeerRecordings, Recordings, "what the other region accepted")
	rec.MaxBytes, rec.MaxAge, rec.DenyPurge = int64(s.Recordings), s.MaxAge, true
	audit := base(PeerAudit, Audit, "the other region's compliance log")
	audit.MaxBytes, audit.Discard = int64(s.Audit), jetstream.DiscardOld
	bucket := func(name, of, about string) jetstream.StreamConfig {
		c := base(BucketStream(name), BucketStream(of), about)
		c.MaxMsgsPerSubject, c.AllowMsgTTL = 1, true // markers of what was purged lapse, as at home
		return c
	}
	return []jetstream.StreamConfig{
		rec, audit, bucket(PeerDigests, Digests, "what the other region's tiers agreed to store"),
		bucket(PeerTombstones, Tombstones, "what was forgotten in the other region"),
	}
}

// followFrom is how old an event of the peer's may be that is followed when a region is added: each that is leaves an event in
// AUDIT, and a month of them at once could fill it. What is older the reconciler's runs hold against the stores.
const followFrom = 24 * time.Hour

// followers returns the configuration of the consumers of the peer's events, one a tier, as they are made at that time.
func (p Peer) followers(now time.Time) []jetstream.ConsumerConfig {
	if !p.Known() {
		return nil
	}
	var out []jetstream.ConsumerConfig
	from := now.UTC().Add(-followFrom)
	for _, t := range tier.All() {
		c := durable(ConsumerName(t, PeerLane), consumerSubjects(t, PeerLane))
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &from
		out = append(out, c)
	}
	return out
}

// kindOf is what a stream is called in messages: a bucket's stream is a bucket.
func kindOf(stream string) (kind, name string) {
	if name, is := strings.CutPrefix(stream, BucketStream("")); is {
		return "bucket", name
	}
	return "stream", stream
}
