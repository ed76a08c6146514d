package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Server errors that provisioning and publishing treat by themselves.
const (
	errNoStorage        jetstream.ErrorCode = 10047 // insufficient storage resources available
	errStorageLimit     jetstream.ErrorCode = 10028 // the account's storage limit
	errDuplicateRunning jetstream.ErrorCode = 10158 // the same message ID is being replicated right now
)

// ErrNotProvisioned is returned by Provisioned while a stream or consumer is missing.
var ErrNotProvisioned = errors.New("not provisioned: run `reconciler provision`")

// changed compares two configurations by their JSON.
func changed(was, now any) string {
	a, errA := json.Marshal(was)
	b, errB := json.Marshal(now)
	if errA == nil && errB == nil && string(a) == string(b) {
		return "unchanged"
	}
	return "updated"
}

// explain adds to a server's error what an operator can do about it.
func explain(err error) error {
	if code := codeOf(err); code == errNoStorage || code == errStorageLimit {
		return fmt.Errorf("the NATS server's disk or limit cannot hold streams of these sizes "+
			"(free space, raise max_file_store, or lower TWINREEL_*_MAX_BYTES or --per-day): %w", err)
	}
	return err
}

func codeOf(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// Provisioned is the readiness check of the streams: those named exist, on files, with the replicas asked for. Each
// program names the streams that it needs.
func Provisioned(js jetstream.JetStream, replicas int, names ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, name := range names {
			s, err := js.Stream(ctx, name)
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				return fmt.Errorf("stream %s: %w", name, ErrNotProvisioned)
			}
			if err != nil {
				return fmt.Errorf("stream %s: %w", name, Refused(js.Conn(), err))
			}
			c := s.CachedInfo().Config
			if c.Storage != jetstream.FileStorage {
				return fmt.Errorf("stream %s is kept in memory only; it must be on files", name)
			}
			if c.Replicas != replicas {
				return fmt.Errorf("stream %s has %d replicas, TWINREEL_NATS_REPLICAS asks for %d: run `reconciler provision`", name, c.Replicas, replicas)
			}
		}
		return nil
	}
}

// BucketStream is the stream behind a KV bucket, for Provisioned.
func BucketStream(bucket string) string { return "KV_" + bucket }
