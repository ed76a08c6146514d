package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Standing is how one stream, bucket or consumer is set up, held against what Provision would make.
type Standing struct {
	Kind     string // stream, consumer or bucket
	Name     string
	Missing  bool
	Differs  []string  // what differs from what Provision would make, in words; but for sizes
	Replicas int       // that it is set up with; 0 of a consumer
	Current  int       // replicas that are up and in step, the leader included; 0 where the server tells nothing of them
	MaxBytes int64     // of a stream; -1: no bound
	At       time.Time // the server's own time of answering; zero where it tells none
}

// Inspect returns how everything that Provision makes is set up: buckets, streams, consumers. It changes nothing. The error
// says that NATS did not answer.
func (t Topology) Inspect(ctx context.Context, js jetstream.JetStream) ([]Standing, error) {
	var out []Standing
	for _, c := range buckets(t.Replicas) {
		one, err := standing(ctx, js, "bucket", c.Bucket, bucketWant(c))
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	for _, c := range append(streams(t.Sizes, t.Replicas), t.Peer.mirrors(t.Sizes, t.Replicas)...) {
		kind, name := kindOf(c.Name)
		one, err := standing(ctx, js, kind, name, c)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
		wants := map[string][]jetstream.ConsumerConfig{Recordings: consumers(), PeerRecordings: t.Peer.followers(time.Now())}[c.Name]
		if one.Missing {
			continue
		}
		of, err := consumerStandings(ctx, js, c.Name, wants)
		if err != nil {
			return nil, err
		}
		out = append(out, of...)
	}
	return out, nil
}

// bucketWant is what of a bucket's stream matters.
func bucketWant(c jetstream.KeyValueConfig) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: BucketStream(c.Bucket), Subjects: []string{"$KV." + c.Bucket + ".>"}, Storage: c.Storage, Replicas: c.Replicas, MaxAge: c.TTL,
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, DenyDelete: true,
	}
}

func standing(ctx context.Context, js jetstream.JetStream, kind, name string, want jetstream.StreamConfig) (Standing, error) {
	out := Standing{Kind: kind, Name: name}
	s, err := js.Stream(ctx, want.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		out.Missing = true
		return out, nil
	case err != nil:
		return out, fmt.Errorf("look at %s %s: %w", kind, name, Refused(js.Conn(), err))
	}
	info := s.CachedInfo()
	out.Differs, out.Replicas, out.MaxBytes, out.At = differs(info.Config, want), info.Config.Replicas, info.Config.MaxBytes, info.TimeStamp
	if c := info.Cluster; c != nil {
		out.Current = 1
		for _, peer := range c.Replicas {
			if peer.Current && !peer.Offline {
				out.Current++
			}
		}
	}
	return out, nil
}

// differs lists what of a stream is not as it should be. Whether files, and how many replicas, comes first.
func differs(is, want jetstream.StreamConfig) []string {
	var out []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	check(is.Storage == want.Storage, "is kept in memory only")
	check(is.Replicas == want.Replicas, "has %d replicas instead of %d", is.Replicas, want.Replicas)
	check(is.Retention == want.Retention, "drops messages by another policy than limits")
	check(is.Discard == want.Discard, "drops its oldest messages when it is full")
	check(is.MaxMsgs <= 0, "drops what exceeds %d messages", is.MaxMsgs)
	check(is.MaxAge == want.MaxAge, "keeps messages for %s instead of %s", is.MaxAge, want.MaxAge)
	check(want.Duplicates == 0 || is.Duplicates == want.Duplicates, "knows duplicates for %s instead of %s", is.Duplicates, want.Duplicates)
	check(is.DenyDelete || !want.DenyDelete, "lets messages be deleted")
	check(is.DenyPurge || !want.DenyPurge, "lets itself be purged")
	check(want.Mirror == nil || is.Mirror != nil && is.Mirror.External != nil && *is.Mirror.External == *want.Mirror.External, "is no mirror of the region that TWINREEL_PEER_DOMAIN names")
	missing := slices.DeleteFunc(slices.Clone(want.Subjects), func(s string) bool { return slices.Contains(is.Subjects, s) })
	check(len(missing) == 0, "does not take %s", strings.Join(missing, ", "))
	return out
}

func consumerStandings(ctx context.Context, js jetstream.JetStream, stream string, wants []jetstream.ConsumerConfig) ([]Standing, error) {
	var out []Standing
	for _, want := range wants {
		one := Standing{Kind: "consumer", Name: want.Durable}
		c, err := js.Consumer(ctx, stream, want.Durable)
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			one.Missing = true
		case err != nil:
			return nil, fmt.Errorf("look at consumer %s: %w", want.Durable, Refused(js.Conn(), err))
		default:
			one.Differs = consumerDiffers(c.CachedInfo().Config, want)
		}
		out = append(out, one)
	}
	return out, nil
}

// consumerDiffers lists what of a consumer is not as it should be.
func consumerDiffers(is, want jetstream.ConsumerConfig) []string {
	var out []string
	if is.MaxDeliver > 0 {
		out = append(out, fmt.Sprintf("gives a message up after %d deliveries", is.MaxDeliver))
	}
	if is.AckPolicy != want.AckPolicy {
		out = append(out, "does not wait for explicit acknowledgements")
	}
	if is.AckWait != want.AckWait {
		out = append(out, fmt.Sprintf("waits %s for an acknowledgement instead of %s", is.AckWait, want.AckWait))
	}
	has, should := slices.Sorted(slices.Values(is.FilterSubjects)), slices.Sorted(slices.Values(want.FilterSubjects))
	if is.FilterSubject != "" {
		has = append(has, is.FilterSubject)
	}
	if !slices.Equal(has, should) {
		out = append(out, "takes other subjects than "+strings.Join(should, ", "))
	}
	return out
}
