package scrub

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/quarantine"
)

const (
	account    = "test35" // this package's JetStream world
	soonEnough = 60 * time.Second
)

// shelf is the part of a bucket that several tests share in which the keys begin like this test's own.
type shelf struct {
	objstore.Reader
	prefix string
}

func (s shelf) ListRange(ctx context.Context, after, _ string) iter.Seq2[objstore.Info, error] {
	return s.Reader.ListRange(ctx, max(after, s.prefix), s.prefix+"~")
}

// realStores opens the real stores for writing and for reading.
func realStores(t *testing.T) (w map[tier.Tier]objstore.Writer, r map[tier.Tier]objstore.Reader) {
	t.Helper()
	identity := func(key, secret string) {
		t.Setenv("AWS_ACCESS_KEY_ID", testenv.Need(t, key))
		t.Setenv("AWS_SECRET_ACCESS_KEY", testenv.Need(t, secret))
	}
	s3 := s3store.Config{
		Endpoint: testenv.Need(t, testenv.S3Endpoint), Region: testenv.Need(t, testenv.S3Region), Bucket: testenv.Need(t, testenv.S3Bucket), PathStyle: true, SSE: "none",
	}
	azure := azstore.Config{
		ServiceURL: testenv.Need(t, testenv.AzureServiceURL), Container: testenv.Need(t, testenv.AzureContainer), AccountName: testenv.Need(t, testenv.AzureAccountName),
		AccountKey: settings.NewSecret(testenv.Need(t, testenv.AzureAccountKey)),
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	identity(testenv.S3WriterKey, testenv.S3WriterSecret)
	primary, err := s3store.Open(t.Context(), s3)
	must(err)
	if _, err := primary.Stat(t.Context(), probeKey); !errors.Is(err, objstore.ErrNotExist) { // its credentials are read once
		t.Fatal(err)
	}
	backup, err := azstore.Open(t.Context(), azure)
	must(err)
	identity(testenv.S3ReaderKey, testenv.S3ReaderSecret)
	primaryReader, err := s3store.OpenReader(t.Context(), s3)
	must(err)
	backupReader, err := azstore.OpenReader(t.Context(), azure)
	must(err)
	return map[tier.Tier]objstore.Writer{tier.Primary: primary, tier.Backup: backup},
		map[tier.Tier]objstore.Reader{tier.Primary: primaryReader, tier.Backup: backupReader}
}

// put stores a recording, whose sidecar names what was agreed, whatever body is.
func put(t *testing.T, w objstore.Writer, id string, agreed, body []byte) {
	t.Helper()
	key, sidecar := sidecarOf(t, id, agreed)
	for k, b := range map[string][]byte{key: body, event.SidecarKey(id): sidecar} {
		if _, err := w.Put(t.Context(), k, b, digest.Of(b), objstore.Options{ContentType: "audio/wav"}); err != nil {
			t.Fatal(err)
		}
	}
}

func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	deadline := time.After(soonEnough)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

// auditData returns the data of the audit events of a subject.
func auditData(t *testing.T, js jetstream.JetStream, subject string) (out []event.AuditData) {
	t.Helper()
	s, err := js.Stream(t.Context(), queue.Audit)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); ; {
		m, err := s.GetMsg(t.Context(), seq, jetstream.WithGetMsgSubject(subject))
		if err != nil {
			return out
		}
		var a struct{ Data event.AuditData }
		if err := json.Unmarshal(m.Data, &a); err != nil {
			t.Fatal(err)
		}
		out, seq = append(out, a.Data), m.Sequence+1
	}
}

// given two recordings in S3 and Azure, of which one copy in S3 has other bytes than its sidecar says, though S3's own
// checksum of it is right, when a turn is done, then just that one is in quarantine and in the audit log, and the turn's end
// is remembered.
func TestARealStoresRottenCopyIsFound(t *testing.T) {
	nc, js := testenv.Account(t, account)
	last := LastRun(js)
	if _, err := last(t.Context(), tier.Primary); !errors.Is(err, queue.ErrNotProvisioned) {
		t.Fatalf("without a stream: %v", err)
	}
	if _, err := queue.Provision(t.Context(), js, queue.Sizes{Recordings: 16 << 20, Letters: 16 << 20, Audit: 16 << 20, MaxAge: time.Hour}, 1); err != nil {
		t.Fatal(err)
	}
	if body, err := last(t.Context(), tier.Primary); body != nil || err != nil {
		t.Fatalf("of an empty stream: %q, %v", body, err)
	}
	book, err := quarantine.Open(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	writers, readers := realStores(t)
	prefix := "rec-" + strings.ToLower(rand.Text()) + "-"
	large, small := media(5, piece+mib), media(6, 1000) // the large one in two pieces
	for of, w := range writers {
		put(t, w, prefix+"1", large, large)
		body := small
		if of == tier.Primary {
			body = flipped(small)
		}
		put(t, w, prefix+"2", small, body)
		readers[of] = shelf{readers[of], mediaFolder + prefix}
	}

	metrics := NewMetrics(prometheus.NewRegistry())
	s := &Scrubber{
		Stores: readers, Period: 10 * time.Second, Budget: 1 << 40, Note: book, Audit: queue.NewPublisher(nc, js), Last: last, Waits: Waits(),
		Metrics: metrics, Log: zap.NewNop(),
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	whole := func(of tier.Tier) (m Mark) {
		body, err := last(t.Context(), of)
		if err != nil {
			t.Fatal(err)
		}
		m, _, ok := parse(body, readers[of].Bucket())
		if !ok || !m.Whole() {
			return Mark{}
		}
		return m
	}
	for _, of := range tier.All() {
		until(t, "a whole turn of "+of.String(), func() bool { return whole(of).Verdicts[Good] > 0 })
	}
	stop()
	<-ended

	if m := whole(tier.Backup); m.Verdicts[Good] != 2 || m.Verdicts[Differs] != 0 || m.Bytes != piece+mib+1000 {
		t.Errorf("backup's turn: %+v", m)
	}
	if m := whole(tier.Primary); m.Verdicts[Good] != 1 || m.Verdicts[Differs] != 1 {
		t.Errorf("primary's turn: %+v", m)
	}
	if _, err := book.Get(t.Context(), prefix+"1"); !errors.Is(err, quarantine.ErrNone) {
		t.Errorf("the good one: %v", err)
	}
	r, err := book.Get(t.Context(), prefix+"2")
	if err != nil || !r.Open() || len(r.Differences) != 1 {
		t.Fatalf("got %+v, %v", r, err)
	}
	d := r.Differences[0]
	if d.Kind != "checksum_differs" || d.Tier != "primary" || !d.Read || !strings.Contains(d.Evidence, "backup's copy is good, it agrees with both sidecars") {
		t.Errorf("noted %+v", d)
	}
	found := auditData(t, js, queue.AuditSubject(string(event.AuditQuarantined), "primary"))
	i := slices.IndexFunc(found, func(a event.AuditData) bool { return a.IdempotencyKey == prefix+"2" })
	if i < 0 || found[i].SHA256 != digest.Of(flipped(small)).SHA256 || found[i].VersionID == "" {
		t.Errorf("audited %+v", found)
	}
	if len(auditData(t, js, queue.AuditSubject(string(event.AuditQuarantined), "backup"))) != 0 {
		t.Error("backup's copies are audited, too")
	}
}
