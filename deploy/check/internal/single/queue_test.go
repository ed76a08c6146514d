package single

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// queue is all that a NATS server holds of Twinreel: each message, and where each consumer stands.
type queue map[string]string

// differs tells one thing that another has otherwise, "" where there is none.
func (q queue) differs(other queue) string {
	if len(q) != len(other) {
		return fmt.Sprintf("%d things, and there were %d", len(other), len(q))
	}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if q[name] != other[name] {
			return fmt.Sprintf("%s is %q, and was %q", name, other[name], q[name])
		}
	}
	return ""
}

// lasting are the streams and buckets whose content does not lapse within a minute, as the boards' and leases' does.
func lasting() []string {
	return []string{"RECORDINGS", "RECORDINGS_DLQ", "AUDIT", "KV_twinreel-digests", "KV_twinreel-quarantine", "KV_twinreel-tombstones"}
}

// connect connects as the reconciler, who may read.
func (b *bed) connect(t *testing.T) (jetstream.JetStream, func()) {
	t.Helper()
	password, err := os.ReadFile(filepath.Join(b.root, "etc", "twinreel", "credentials", "nats-reconciler"))
	if err != nil {
		t.Fatal(err)
	}
	var nc *nats.Conn
	await(t, "NATS", func() error {
		nc, err = nats.Connect(load(t, b.root).Env["reconciler"]["TWINREEL_NATS_URL"], nats.UserInfo("reconciler", strings.TrimSpace(string(password))),
			nats.CustomInboxPrefix("_INBOX.reconciler"))
		return err
	})
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js, nc.Close
}

// each calls do with every message of a stream. An empty stream begins at 0, which is no message.
func each(t *testing.T, js jetstream.JetStream, name string, do func(*jetstream.RawStreamMsg)) (*jetstream.StreamInfo, error) {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		return nil, err
	}
	info := stream.CachedInfo()
	for seq := max(1, info.State.FirstSeq); seq <= info.State.LastSeq; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		do(msg)
	}
	return info, nil
}

// queue reads everything.
func (b *bed) queue(t *testing.T) queue {
	t.Helper()
	js, done := b.connect(t)
	defer done()
	q := queue{}
	for _, name := range lasting() {
		info, err := each(t, js, name, func(m *jetstream.RawStreamMsg) {
			sum := sha256.Sum256(m.Data)
			q[fmt.Sprintf("%s %d", name, m.Sequence)] = m.Subject + " " + m.Time.String() + " " + m.Header.Get(nats.MsgIdHdr) + " " + hex.EncodeToString(sum[:])
		})
		if err != nil {
			t.Fatalf("read %s: %v", name, err)
		}
		q[name] = fmt.Sprintf("made %s, %d to %d", info.Created, info.State.FirstSeq, info.State.LastSeq)
	}
	for _, name := range []string{"primary", "primary-backfill", "backup", "backup-backfill"} {
		c, err := js.Consumer(t.Context(), "RECORDINGS", name)
		if err != nil {
			t.Fatalf("consumer %s: %v", name, err)
		}
		i := c.CachedInfo()
		q["consumer "+name] = fmt.Sprintf("made %s, delivered %d, acknowledged %d, pending %d", i.Created, i.Delivered.Stream, i.AckFloor.Stream, i.NumPending)
	}
	if len(q) < len(lasting())+4+2 {
		t.Fatalf("the queue holds no messages: %v", q)
	}
	return q
}

// stored counts, by tier and recording, how often the workers said that they stored one.
func (b *bed) stored(t *testing.T) map[string]int {
	t.Helper()
	js, done := b.connect(t)
	defer done()
	out := map[string]int{}
	_, err := each(t, js, "AUDIT", func(m *jetstream.RawStreamMsg) {
		var e struct {
			Data struct{ Tier, IdempotencyKey string }
		}
		if strings.HasPrefix(m.Subject, "audit.stored.") && json.Unmarshal(m.Data, &e) == nil {
			out[e.Data.Tier+" "+e.Data.IdempotencyKey]++
		}
	})
	if err != nil {
		t.Fatalf("read AUDIT: %v", err)
	}
	return out
}
