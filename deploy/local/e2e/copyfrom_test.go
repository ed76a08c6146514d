package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// given a recording that reached primary before the platform lost it, when a redrive brings backup a link to primary's
// copy, then backup stores that copy, byte for byte and with the same sidecar; a redrive whose link is past its time is
// acknowledged, audited, and counts for nothing.
func TestTheSiblingsCopyIsTakenWhereThePlatformHasNone(t *testing.T) {
	t.Parallel()
	b := newBed(t, setup{bare: true, platform: platform.Config{Seed: 41}, env: map[string]string{"TWINREEL_RETRY_BASE": "50ms"}})
	b.must(b.fleet.Provision(t.Context()))
	var err error
	b.ingress, err = b.fleet.Start(fleet.Ingress, nil)
	b.must(err)
	b.primary, err = b.fleet.Start(fleet.WorkerPrimary, nil)
	b.must(err)
	b.must(errors.Join(b.ingress.Ready(t.Context()), b.primary.Ready(t.Context())))
	b.platform.SetIngressURL(b.ingress.URL())
	var all []*platform.Recording
	for _, s := range []platform.Spec{{ID: "rec-small", Size: 4096}, {ID: "rec-large", Size: 20 * mib}, {ID: "rec-late", Size: mib}} {
		r := b.add(s)
		all = append(all, r)
		b.send(r)
		b.eventually(time.Minute, "primary has it", func(context.Context) error {
			if rec, err := b.show(r.Key()); err != nil || rec.PrimaryStorage == nil {
				return errors.Join(err, errors.New("not yet"))
			}
			return nil
		})
		r.SetFaults(platform.Faults{Status: http.StatusNotFound})
		r.SetExpect(platform.ExpectStored)
	}
	all[2].SetExpect(platform.ExpectEither) // in primary alone
	b.backup, err = b.fleet.Start(fleet.WorkerBackup, map[string]string{"TWINREEL_COPY_FROM_ORIGINS": b.stack.S3Access.Endpoint})
	b.must(err)
	b.must(b.backup.Ready(t.Context()))
	b.settle()
	b.reasons(map[string]string{"backup rec-small": "source_gone", "backup rec-large": "source_gone", "backup rec-late": "source_gone"})

	b.redrive(all[0], time.Now().Add(time.Minute))
	b.redrive(all[1], time.Now().Add(time.Minute))
	b.redrive(all[2], time.Now().Add(-time.Second))
	b.settle()
	report := b.compare()
	if !report.Sound() || report.Copies["primary"].Recordings != 3 || report.Copies["backup"].Recordings != 2 {
		t.Errorf("want two copies of two recordings, one of the third:\n%s", report)
	}
	b.completed(all[:2], 2)
	late := 0
	b.must(b.each(t.Context(), "AUDIT", func(m *jetstream.RawStreamMsg) {
		if m.Subject == "audit.redriven.backup" && strings.Contains(string(m.Data), `"reason":"link_expired"`) {
			late++
		}
	}))
	if late != 1 {
		t.Errorf("%d redrives were audited as too late, want 1", late)
	}
	if n := len(b.letters()); n != 3 {
		t.Errorf("%d letters, want those of before", n)
	}
}

// redrive sends backup the recording's event again, with a link to primary's copy.
func (b *bed) redrive(r *platform.Recording, expires time.Time) {
	b.t.Helper()
	a := b.stack.S3Access
	key := r.ObjectKey()
	link, err := s3.NewPresignClient(a.Client(a.Reader)).PresignGetObject(b.t.Context(), &s3.GetObjectInput{Bucket: &a.Bucket, Key: &key})
	b.must(err)
	nc, js, err := b.connect()
	b.must(err)
	defer nc.Close()
	var event map[string]any
	b.must(b.each(b.t.Context(), "RECORDINGS", func(m *jetstream.RawStreamMsg) {
		var e map[string]any
		b.should(json.Unmarshal(m.Data, &e))
		if e["subject"] == r.ID {
			event = e
		}
	}))
	event["type"] = "com.twinreel.recording.redrive.v1"
	data, _ := event["data"].(map[string]any)
	data["reason"] = "missing_backup"
	data["copyFrom"] = map[string]any{"url": link.URL, "size": r.Size, "sha256": r.SHA256(), "crc64nvme": r.CRC64NVME(), "expiresAt": expires.UTC()}
	body, err := json.Marshal(event)
	b.must(err)
	msg := nats.NewMsg("recordings.redrive.backup")
	msg.Data = body
	msg.Header.Set("Content-Type", "application/cloudevents+json")
	_, err = js.PublishMsg(b.t.Context(), msg)
	b.must(err)
}
