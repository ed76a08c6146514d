package dlq

import (
	"testing"

	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// given a worker that had looked just before the recording was forgotten, and gave it up after, when its letter comes, then
// it goes, whatever the stores hold or contradict, and nothing is sent again.
func TestLettersOfAForgottenRecordingGo(t *testing.T) {
	b := newBed(t)
	if _, err := b.Digests.Create(t.Context(), event.HashKey(key), []byte(`{"forgotten":true}`)); err != nil {
		t.Fatal(err)
	}
	b.store(tier.Backup) // not yet deleted by those who may
	for _, s := range b.stores {
		s.Before(memstore.Stat, memstore.Always(errAway()))
		s.Before(memstore.Open, memstore.Always(errAway()))
	}
	b.bury(tier.Primary, queue.SourceGone, completed(nil))
	b.bury(tier.Primary, queue.DigestConflict, completed(func(d *event.Data) { d.Media.Format = "mp3" }))
	follow(t, b.Follower)
	b.until("the letters are gone", func() bool { return b.letters() == 0 })
	for _, a := range b.audited(event.AuditResolved) {
		if a.Reason != "forgotten" {
			t.Errorf("audited %+v", a)
		}
	}
	b.wantRedrives(tier.Primary, 0)
}
