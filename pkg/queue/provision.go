package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/tier"
)

// Sizes are the limits that provisioning gives the streams.
type Sizes struct {
	Recordings settings.Bytes `env:"TWINREEL_RECORDINGS_MAX_BYTES" envDefault:"10GiB" meaning:"size of the RECORDINGS stream; full, webhooks get 503"`
	Letters    settings.Bytes `env:"TWINREEL_DLQ_MAX_BYTES" envDefault:"1GiB" meaning:"size of the RECORDINGS_DLQ stream"`
	Audit      settings.Bytes `env:"TWINREEL_AUDIT_MAX_BYTES" envDefault:"2GiB" meaning:"size of the AUDIT stream; full, the workers stop pulling"`
	MaxAge     time.Duration  `env:"TWINREEL_RECORDINGS_MAX_AGE" envDefault:"720h" meaning:"how long RECORDINGS keeps an event"`
}

// Check implements settings.Checker.
func (s *Sizes) Check() []settings.Problem {
	var out []settings.Problem
	for _, f := range []struct {
		name string
		n    settings.Bytes
	}{{"TWINREEL_RECORDINGS_MAX_BYTES", s.Recordings}, {"TWINREEL_DLQ_MAX_BYTES", s.Letters}, {"TWINREEL_AUDIT_MAX_BYTES", s.Audit}} {
		if f.n < 1<<20 {
			out = append(out, settings.Problem{Variable: f.name, Text: "want at least 1MiB"})
		}
	}
	if s.MaxAge < recordingsDuplicates {
		out = append(out, settings.Problem{Variable: "TWINREEL_RECORDINGS_MAX_AGE", Text: "want at least 10m, the duplicate window"})
	}
	return out
}

// streams returns the configuration of the three streams.
func streams(s Sizes, replicas int) []jetstream.StreamConfig {
	base := func(name, about string, size settings.Bytes, subjects ...string) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Description: about, Subjects: subjects, Storage: jetstream.FileStorage, Replicas: replicas,
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, MaxBytes: int64(size), AllowDirect: true,
		}
	}
	rec := base(Recordings, "Twinreel: accepted recordings, and events sent again", s.Recordings, CompletedSubject(Both),
		CompletedSubject(Primary), CompletedSubject(Backup), RedriveSubject(tier.Primary), RedriveSubject(tier.Backup))
	rec.MaxAge, rec.Duplicates, rec.DenyDelete, rec.DenyPurge = s.MaxAge, recordingsDuplicates, true, true
	dlq := base(DeadLetters, "Twinreel: events that a tier gave up", s.Letters, LetterSubject(tier.Primary), LetterSubject(tier.Backup))
	dlq.MaxAge, dlq.Duplicates = lettersMaxAge, lettersDuplicates
	audit := base(Audit, "Twinreel: the compliance log", s.Audit, AuditSubject("*", "*"))
	audit.Duplicates, audit.DenyDelete = auditDuplicates, true
	return []jetstream.StreamConfig{rec, dlq, audit}
}

// durable is the configuration of a worker's consumer.
func durable(name string, subjects []string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: name, FilterSubjects: subjects, DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: AckWait, MaxDeliver: -1, MaxAckPending: MaxAckPending,
	}
}

// consumers returns the configuration of the four durable consumers of the region's own events.
func consumers() []jetstream.ConsumerConfig {
	var out []jetstream.ConsumerConfig
	for _, t := range tier.All() {
		for _, l := range Lanes() {
			out = append(out, durable(ConsumerName(t, l), consumerSubjects(t, l)))
		}
	}
	return out
}

// buckets returns the configuration of the KV buckets.
func buckets(replicas int) []jetstream.KeyValueConfig {
	base := func(name, about string) jetstream.KeyValueConfig {
		return jetstream.KeyValueConfig{Bucket: name, Description: about, History: 1, Storage: jetstream.FileStorage, Replicas: replicas}
	}
	digests := base(Digests, "Twinreel: what both tiers agreed to store")
	digests.LimitMarkerTTL = markerTTL
	tiers := base(Tiers, "Twinreel: how each worker sees its store")
	tiers.TTL, tiers.LimitMarkerTTL = volatileAge, volatileAge
	leases := base(Leases, "Twinreel: the leader, the live ingresses")
	leases.TTL = volatileAge
	return []jetstream.KeyValueConfig{
		digests, tiers, base(Quarantine, "Twinreel: copies that differ"),
		base(Tombstones, "Twinreel: recordings forgotten on purpose"), leases,
	}
}

// Change is one thing that Provision did.
type Change struct {
	Kind   string `json:"kind"` // stream, consumer or bucket
	Name   string `json:"name"`
	Action string `json:"action"` // created, updated or unchanged
}

// Topology is what decides how everything in JetStream is set up.
type Topology struct {
	Sizes    Sizes
	Replicas int
	Peer     Peer
}

// Provision is Topology.Provision of a region without a peer.
func Provision(ctx context.Context, js jetstream.JetStream, s Sizes, replicas int) ([]Change, error) {
	return Topology{Sizes: s, Replicas: replicas}.Provision(ctx, js)
}

// Provision creates or updates all streams, consumers and buckets. It may be repeated. When a step fails, what this call
// created is removed and what it updated is set back, so that no half of it stays.
func (t Topology) Provision(ctx context.Context, js jetstream.JetStream) ([]Change, error) {
	p := provisioning{js: js}
	err := p.run(ctx, t)
	if err == nil {
		return p.done, nil
	}
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	for i := len(p.undo) - 1; i >= 0; i-- {
		if uerr := p.undo[i](back); uerr != nil {
			err = errors.Join(err, fmt.Errorf("and taking back failed: %w", uerr))
		}
	}
	return nil, err
}

// provisioning is one run of Provision: what it did, and how to take it back.
type provisioning struct {
	js   jetstream.JetStream
	done []Change
	undo []func(context.Context) error
}

// run makes RECORDINGS last of the streams: once it is there webhooks are taken, and nothing may then be missing.
func (p *provisioning) run(ctx context.Context, t Topology) error {
	for _, c := range buckets(t.Replicas) {
		if err := p.bucket(ctx, c); err != nil {
			return fmt.Errorf("bucket %s: %w", c.Bucket, explain(err))
		}
	}
	for _, c := range slices.Backward(append(streams(t.Sizes, t.Replicas), t.Peer.mirrors(t.Sizes, t.Replicas)...)) {
		if err := p.stream(ctx, c); err != nil {
			kind, name := kindOf(c.Name)
			return fmt.Errorf("%s %s: %w", kind, name, explain(err))
		}
	}
	for _, of := range []struct {
		stream string
		all    []jetstream.ConsumerConfig
	}{{Recordings, consumers()}, {PeerRecordings, t.Peer.followers(time.Now())}} {
		for _, c := range of.all {
			if err := p.consumer(ctx, of.stream, c); err != nil {
				return fmt.Errorf("consumer %s: %w", c.Durable, explain(err))
			}
		}
	}
	return nil
}

// removeEmpty takes back the creation of a stream, unless somebody has stored something in it meanwhile.
func (p *provisioning) removeEmpty(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		s, err := p.js.Stream(ctx, name)
		if err != nil {
			return err
		}
		if n := s.CachedInfo().State.LastSeq; n > 0 {
			return fmt.Errorf("stream %s is in use already and stays; mend the cause and provision again", name)
		}
		return p.js.DeleteStream(ctx, name)
	}
}

func (p *provisioning) stream(ctx context.Context, c jetstream.StreamConfig) error {
	kind, name := kindOf(c.Name)
	old, err := p.js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if _, err = p.js.CreateStream(ctx, c); err != nil {
			return err
		}
		p.note(kind, name, "created", p.removeEmpty(c.Name))
		return nil
	}
	if err != nil {
		return err
	}
	was := old.CachedInfo().Config
	now, err := p.js.UpdateStream(ctx, c)
	if err != nil {
		return err
	}
	p.note(kind, name, changed(was, now.CachedInfo().Config), func(ctx context.Context) error {
		_, err := p.js.UpdateStream(ctx, was)
		return err
	})
	return nil
}

func (p *provisioning) consumer(ctx context.Context, stream string, c jetstream.ConsumerConfig) error {
	old, err := p.js.Consumer(ctx, stream, c.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if _, err = p.js.CreateConsumer(ctx, stream, c); err != nil {
			return err
		}
		p.note("consumer", c.Durable, "created", func(ctx context.Context) error {
			err := p.js.DeleteConsumer(ctx, stream, c.Durable)
			if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) {
				return nil
			}
			return err
		})
		return nil
	}
	if err != nil {
		return err
	}
	was := old.CachedInfo().Config
	c.DeliverPolicy, c.OptStartTime = was.DeliverPolicy, was.OptStartTime // where it began
	now, err := p.js.UpdateConsumer(ctx, stream, c)
	if err != nil {
		return err
	}
	p.note("consumer", c.Durable, changed(was, now.CachedInfo().Config), func(ctx context.Context) error {
		_, err := p.js.UpdateConsumer(ctx, stream, was)
		return err
	})
	return nil
}

func (p *provisioning) bucket(ctx context.Context, c jetstream.KeyValueConfig) error {
	stream := "KV_" + c.Bucket
	old, err := p.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if _, err = p.js.CreateKeyValue(ctx, c); err != nil {
			return err
		}
		p.note("bucket", c.Bucket, "created", p.removeEmpty(stream))
		return nil
	}
	if err != nil {
		return err
	}
	was := old.CachedInfo().Config
	if _, err = p.js.UpdateKeyValue(ctx, c); err != nil {
		return err
	}
	now, err := p.js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	p.note("bucket", c.Bucket, changed(was, now.CachedInfo().Config), func(ctx context.Context) error {
		_, err := p.js.UpdateStream(ctx, was)
		return err
	})
	return nil
}

func (p *provisioning) note(kind, name, action string, undo func(context.Context) error) {
	p.done = append(p.done, Change{Kind: kind, Name: name, Action: action})
	p.undo = append(p.undo, undo)
}
