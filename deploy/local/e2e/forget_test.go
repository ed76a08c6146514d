package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/redis/go-redis/v9"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// forgotten is what `recording forget -o json` prints, as far as it is looked at here.
type forgotten struct {
	Before  bool `json:"before"`
	Letters int  `json:"letters"`
	Copies  []struct {
		Tier      string `json:"tier"`
		Key       string `json:"key"`
		VersionID string `json:"versionId"`
	} `json:"copies"`
	Unseen []any  `json:"unseen"`
	Ledger string `json:"ledger"`
}

// given two recordings, one stored and one given up, when they are forgotten and deleted by who may, then neither another
// webhook of theirs, nor an import, a replay, a redrive or a rebuilt Redis brings them back, and nothing is even fetched.
func TestAForgottenRecordingNeverComesBack(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 61}, env: map[string]string{"TWINREEL_RETRY_BASE": "50ms"}})
	daemon, err := b.fleet.StartReconciler(t.Context())
	b.must(err)
	stored := b.add(platform.Spec{ID: "rec-erased", Size: 12 * mib, SendSize: true})
	gone := b.add(platform.Spec{ID: "rec-lost", Size: mib, Faults: platform.Faults{Status: http.StatusNotFound}})
	kept := b.add(platform.Spec{ID: "rec-kept", Size: mib, SendSize: true})
	for _, r := range []*platform.Recording{stored, gone, kept} {
		b.send(r)
	}
	b.settle()
	b.recorded(daemon, stored.Key(), "completed")
	b.gets(stored)

	if f := b.forget(stored.Key()); f.Before || len(f.Copies) != 4 || len(f.Unseen) != 0 || f.Ledger != "cleared" {
		t.Errorf("forgetting says %+v, want a recording and its sidecar in each store", f)
	} else {
		b.erase(f)
	}
	if f := b.forget(gone.Key()); f.Letters != 2 || len(f.Copies) != 0 {
		t.Errorf("forgetting says %+v, want two letters removed", f)
	}
	for _, r := range []*platform.Recording{stored, gone} {
		r.SetFaults(platform.Faults{})
		r.SetExpect(platform.ExpectAbsent)
		b.recorded(daemon, r.Key(), "forgotten")
	}
	fetches := b.platform.Fetches(stored.Key()) + b.platform.Fetches(gone.Key())
	for _, r := range []*platform.Recording{stored, gone} {
		b.send(r, func(e *platform.Event) { e.EventID = "another" })
		b.imported(r, "known")
		b.redrive(r, time.Now().Add(time.Minute))
	}
	if got := b.replay(0, "--yes"); got.Matched != 0 {
		t.Errorf("the replay says %+v, want no letters", got)
	}
	client := b.redisClient()
	b.must(client.FlushAll(t.Context()).Err())
	b.command("ledger", "rebuild", "--yes")
	b.settle()
	b.noLetters()
	if n := b.platform.Fetches(stored.Key()) + b.platform.Fetches(gone.Key()); n != fetches {
		t.Errorf("media were fetched %d times more", n-fetches)
	}
	for _, r := range []*platform.Recording{stored, gone} {
		if f := b.forget(r.Key()); !f.Before || len(f.Copies)+len(f.Unseen)+f.Letters != 0 {
			t.Errorf("%s is back: %+v", r.Key(), f)
		}
		b.recorded(daemon, r.Key(), "forgotten")
	}
	b.recorded(daemon, kept.Key(), "completed")
	b.sound(1)
	if n := b.audited("audit.forgotten.all"); n != 2 {
		t.Errorf("%d audit events of forgetting, want 2", n)
	}
}

// given many recordings in every state, when Redis loses all it had and is rebuilt, then each is shown as before.
func TestAfterAFlushAndARebuildTheRecordsAreTheSame(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{platform: platform.Config{Seed: 62}, env: map[string]string{"TWINREEL_RETRY_BASE": "50ms"}})
	var all []*platform.Recording
	for i := range 60 {
		s := platform.Spec{ID: fmt.Sprintf("rec-%02d", i), Size: 64 << 10, SendSize: i%2 == 0}
		if i%10 == 9 {
			s.Size = 20 * mib
		}
		r := b.add(s)
		all = append(all, r)
		b.send(r)
		if i%7 == 0 { // another webhook of it: delivered again, found again
			b.send(r, func(e *platform.Event) { e.EventID = "another" })
		}
	}
	b.settle()
	before := map[string]shown{}
	for _, r := range all {
		before[r.Key()] = b.shows(r.Key())
	}
	b.must(b.redisClient().FlushAll(t.Context()).Err())
	var told struct{ Copies, Missing, Events int }
	b.must(json.Unmarshal([]byte(b.command("ledger", "rebuild", "--yes", "-o", "json")), &told))
	if told.Missing != 0 || told.Copies < 2*len(all) || told.Events < len(all) {
		t.Errorf("the rebuild says %+v", told)
	}
	for _, r := range all {
		now := b.shows(r.Key())
		if now.record != before[r.Key()].record {
			t.Errorf("%s is\n%s\nwas\n%s", r.Key(), now.record, before[r.Key()].record)
		}
		if now.aside != "" {
			t.Errorf("%s did not come from Redis: %s", r.Key(), now.aside)
		}
	}
}

// shown is what `recording show -o json` says.
type shown struct{ record, aside string }

// shows asks for a recording. Retries, which nobody can tell again, are left out.
func (b *bed) shows(key string) shown {
	b.t.Helper()
	res, err := b.fleet.Command(b.t.Context(), "recording", "show", key, "-o", "json")
	b.must(err)
	var fields map[string]json.RawMessage
	b.must(json.Unmarshal([]byte(res.Stdout), &fields))
	delete(fields, "retries")
	delete(fields, "retryCount")
	var timeline []map[string]any
	b.must(json.Unmarshal(fields["timeline"], &timeline))
	kept := timeline[:0]
	for _, e := range timeline {
		if !strings.HasPrefix(fmt.Sprint(e["what"]), "handed back") {
			kept = append(kept, e)
		}
	}
	fields["timeline"], err = json.Marshal(kept)
	b.must(err)
	out, err := json.MarshalIndent(fields, "", " ")
	b.must(err)
	return shown{string(out), res.Stderr}
}

// forget has a recording forgotten.
func (b *bed) forget(key string) (f forgotten) {
	b.t.Helper()
	out := b.command("recording", "forget", key, "--case", "GDPR-2026-118", "--reason", "erasure request", "--yes", "-o", "json")
	b.must(json.Unmarshal([]byte(out), &f))
	return f
}

// gets fetches a recording back, from each tier.
func (b *bed) gets(r *platform.Recording) {
	b.t.Helper()
	for _, tier := range []string{"primary", "backup"} {
		file := filepath.Join(b.t.TempDir(), "call")
		b.command("recording", "get", r.Key(), "--out", file, "--tier", tier)
		body, err := os.ReadFile(file)
		b.must(err)
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != r.SHA256() {
			b.t.Errorf("%s gave other bytes back", tier)
		}
	}
}

// erase deletes what is left of a recording, as who may.
func (b *bed) erase(f forgotten) {
	b.t.Helper()
	a := b.stack.S3Access
	client := a.Client(a.Root)
	for _, c := range f.Copies {
		if c.Tier == "primary" {
			_, err := client.DeleteObject(b.t.Context(), &s3.DeleteObjectInput{Bucket: &a.Bucket, Key: &c.Key, VersionId: &c.VersionID})
			b.must(err)
			continue
		}
		_, err := b.azureRoot().NewBlobClient(c.Key).Delete(b.t.Context(), nil)
		b.must(err)
	}
}

// azureRoot is the container, as the account's owner.
func (b *bed) azureRoot() *container.Client {
	b.t.Helper()
	a := b.stack.AzureAccess
	cred, err := container.NewSharedKeyCredential(a.Account, a.Key)
	b.must(err)
	client, err := container.NewClientWithSharedKeyCredential(a.ContainerURL(), cred, nil)
	b.must(err)
	return client
}

// redisClient is a client of the bed's own Redis.
func (b *bed) redisClient() *redis.Client {
	b.t.Helper()
	o, err := redis.ParseURL(b.stack.World().RedisURL)
	b.must(err)
	client := redis.NewClient(o)
	b.t.Cleanup(func() { _ = client.Close() })
	return client
}
