package dlq

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

func TestALetterWhoseTierHasItsCopyIsResolved(t *testing.T) {
	for name, agree := range map[string]bool{"by the entry": true, "by the sidecar": false} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			if agree {
				b.agree()
			}
			b.store(tier.Primary)
			b.bury(tier.Primary, queue.SourceGone, completed(nil))
			if err := b.ledger.Letter(t.Context(), key, tier.Primary, "source_gone"); err != nil {
				t.Fatal(err)
			}
			b.stores[tier.Backup].Before(memstore.Stat, memstore.Always(errAway())) // the sibling need not be asked
			b.stores[tier.Backup].Before(memstore.Open, memstore.Always(errAway()))
			follow(t, b.Follower)
			b.until("the letter is gone", func() bool { return b.letters() == 0 })
			b.until("the record says so", func() bool {
				r, err := b.ledger.Record(t.Context(), key)
				return errors.Is(err, ledger.ErrNoRecord) || err == nil && len(r.Letters) == 0
			})
			want := event.AuditData{Tier: "primary", IdempotencyKey: key, ObjectKey: "recordings/rec-1.wav", Reason: "source_gone", By: "reconciler"}
			if got := b.audited(event.AuditResolved); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
				t.Errorf("audited %+v, want %+v", got, want)
			}
			b.wantRedrives(tier.Primary, 0)
		})
	}
}

func TestALetterWhoseSiblingHasAVerifiedCopyIsSentAgainWithALink(t *testing.T) {
	b := newBed(t)
	b.agree()
	b.store(tier.Backup)
	b.bury(tier.Primary, queue.SourceGone, completed(nil))
	follow(t, b.Follower)
	b.until("it is sent again", func() bool { return len(b.audited(event.AuditRedriven)) == 1 })
	e := b.sentTo(tier.Primary)[0]
	from, d := e.Data.CopyFrom, digest.Of([]byte(media))
	if !e.Redrive() || e.Data.Reason != "dead_letter" || e.ID != completed(nil).ID || e.Data.Media.URL != completed(nil).Data.Media.URL {
		t.Errorf("got %+v", e)
	}
	if from == nil || !strings.HasPrefix(from.URL, "http://backup.example.com/") || from.Size != d.Size || from.SHA256 != d.SHA256 ||
		from.CRC64NVME != digest.EncodeCRC64(d.CRC64) || time.Until(from.ExpiresAt) > time.Hour || time.Until(from.ExpiresAt) < 50*time.Minute {
		t.Errorf("copy from %+v", from)
	}
	b.looked(tier.Primary, 5)
	b.wantRedrives(tier.Primary, 1)
	if b.letters() != 1 {
		t.Error("the letter must stay until the tier has its copy")
	}
	b.store(tier.Primary)
	b.until("the letter is resolved", func() bool { return b.letters() == 0 })
	for _, m := range append(b.all(queue.Audit, ">"), b.all(queue.DeadLetters, ">")...) {
		if strings.Contains(string(m.Data), "sig=") {
			t.Errorf("a link is in %s", m.Subject)
		}
	}
}

func TestALetterWaitsForItsSiblingsCopy(t *testing.T) {
	b := newBed(t)
	b.agree()
	b.bury(tier.Backup, queue.SourceUnusable, completed(nil))
	follow(t, b.Follower)
	b.looked(tier.Backup, 3)
	b.wantRedrives(tier.Backup, 0)
	b.store(tier.Primary)
	b.until("it is sent again", func() bool { return len(b.sentTo(tier.Backup)) == 1 })
}

func TestWhatIsNoVerifiedCopyIsNoSource(t *testing.T) {
	e := agreed(t)
	for name, plant := range map[string]func(*memstore.Store){
		"other bytes":        func(s *memstore.Store) { s.Plant(e.ObjectKey, memstore.Object{Body: []byte("RIFF some other bytes")}) },
		"another size":       func(s *memstore.Store) { s.Plant(e.ObjectKey, memstore.Object{Body: []byte("RIFF")}) },
		"no checksum":        func(s *memstore.Store) { s.Plant(e.ObjectKey, memstore.Object{Body: []byte(media), NoChecksum: true}) },
		"a sidecar alone":    func(s *memstore.Store) { s.Plant(event.SidecarKey(key), memstore.Object{Body: e.Sidecar}) },
		"a sidecar not ours": func(s *memstore.Store) { s.Plant(event.SidecarKey(key), memstore.Object{Body: []byte("{}")}) },
		"another format":     func(s *memstore.Store) { s.Plant("recordings/rec-1.mp3", memstore.Object{Body: []byte(media)}) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.agree()
			plant(b.stores[tier.Backup])
			b.bury(tier.Primary, queue.SourceGone, completed(nil))
			follow(t, b.Follower)
			b.looked(tier.Primary, 3)
			b.wantRedrives(tier.Primary, 0)
		})
	}
}

func TestAContradictingLetterStaysWhateverIsStored(t *testing.T) {
	other := int64(7)
	for name, change := range map[string]func(*event.Data){
		"format": func(d *event.Data) { d.Media.Format = "mp3" },
		"size":   func(d *event.Data) { d.Media.Size = &other },
		"sha256": func(d *event.Data) { d.Media.SHA256 = strings.Repeat("ab", 32) },
	} {
		for _, stored := range [][]tier.Tier{{tier.Primary}, {tier.Backup}, {tier.Primary, tier.Backup}} {
			for _, entry := range []bool{true, false} {
				t.Run(name, func(t *testing.T) {
					b := newBed(t)
					if entry {
						b.agree()
					}
					for _, s := range stored {
						b.store(s)
					}
					b.bury(tier.Primary, queue.DigestConflict, completed(change))
					follow(t, b.Follower)
					b.looked(tier.Primary, 3)
					b.wantRedrives(tier.Primary, 0)
					if b.letters() != 1 || len(b.audited(event.AuditResolved)) != 0 {
						t.Error("it was resolved")
					}
				})
			}
		}
	}
}

func TestAContradictingLetterDoesNotKeepTheOthersOfItsRecording(t *testing.T) {
	b := newBed(t)
	b.agree()
	b.store(tier.Primary)
	b.bury(tier.Primary, queue.SourceGone, completed(nil))
	b.bury(tier.Primary, queue.DigestConflict, completed(func(d *event.Data) { d.Media.Format = "mp3" }))
	follow(t, b.Follower)
	b.until("the other is resolved", func() bool { return b.letters() == 1 })
	if left := b.all(queue.DeadLetters, ">"); left[0].Sequence != 2 {
		t.Errorf("letter %d is left", left[0].Sequence)
	}
	b.until("the record names what is left", func() bool {
		r, err := b.ledger.Record(t.Context(), key)
		return err == nil && r.Letters[tier.Primary] == "digest_conflict"
	})
}

func TestALetterThatIsNoEventStays(t *testing.T) {
	b := newBed(t)
	b.store(tier.Primary)
	b.give(tier.Primary, queue.InvalidEvent, 1, "recordings.completed.both", []byte(`{"data":{"idempotencyKey":"rec-1"}}`))
	b.give(tier.Primary, queue.InvalidEvent, 2, "recordings.completed.both", []byte("hello"))
	b.bury(tier.Primary, queue.SourceGone, completed(nil))
	follow(t, b.Follower)
	b.until("the readable one is resolved", func() bool { return b.letters() == 2 })
	b.until("the two others are what is open", func() bool {
		got := b.Open()[tier.Primary]
		return got[queue.InvalidEvent] == 2 && len(got) == 1
	})
}

func TestAtMostOneRedriveIsOpen(t *testing.T) {
	b := newBed(t)
	b.agree()
	b.store(tier.Backup)
	b.bury(tier.Primary, queue.SourceGone, completed(nil))
	b.bury(tier.Primary, queue.SourceUnusable, completed(nil))
	stop := follow(t, b.Follower)
	b.until("it is sent again", func() bool { return len(b.audited(event.AuditRedriven)) == 1 })
	b.looked(tier.Primary, 5)
	stop()
	follow(t, b.Follower) // another leader, who remembers nothing
	b.looked(tier.Primary, 5)
	b.wantRedrives(tier.Primary, 1)

	b.finish(tier.Primary, event.AuditRedriven, "link_expired")
	b.until("it is planned anew", func() bool { return len(b.sentTo(tier.Primary)) == 2 })
	b.looked(tier.Primary, 5)
	b.wantRedrives(tier.Primary, 2)
}

func TestARedriveOfAnOperatorCountsAsOpen(t *testing.T) {
	b := newBed(t)
	b.agree()
	b.store(tier.Backup)
	e := completed(nil)
	e.Type, e.Data.Reason = event.TypeRedrive, "replay"
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publisher.Redrive(t.Context(), tier.Primary, "replay/1", "", body); err != nil {
		t.Fatal(err)
	}
	b.bury(tier.Primary, queue.SourceGone, completed(nil))
	follow(t, b.Follower)
	b.looked(tier.Primary, 5)
	b.wantRedrives(tier.Primary, 1)
	b.comesBack(tier.Primary, queue.SourceGone)
	b.until("it is sent again", func() bool { return len(b.sentTo(tier.Primary)) == 2 })
}

func TestTwoLeadersSendOnce(t *testing.T) {
	b := newBed(t)
	b.agree()
	b.store(tier.Backup)
	b.bury(tier.Primary, queue.SourceGone, completed(nil))
	twin := b.twin()
	follow(t, b.Follower)
	follow(t, twin)
	b.until("it is sent again", func() bool { return len(b.sentTo(tier.Primary)) > 0 })
	b.looked(tier.Primary, 5)
	b.wantRedrives(tier.Primary, 1)
	b.store(tier.Primary)
	b.until("it is resolved", func() bool { return b.letters() == 0 })
	if n := len(b.audited(event.AuditResolved)); n != 1 {
		t.Errorf("audited %d times", n)
	}
}

func TestWhatComesBackOfRedrivesDoesNotPileUp(t *testing.T) {
	b := newBed(t)
	b.agree()
	b.store(tier.Backup)
	b.bury(tier.Primary, queue.SourceGone, completed(nil))
	follow(t, b.Follower)
	for n := 1; n <= 5; n++ {
		b.until("it is sent again", func() bool { return len(b.sentTo(tier.Primary)) == n && len(b.audited(event.AuditRedriven)) == n })
		b.comesBack(tier.Primary, queue.SourceGone)
	}
	b.until("the first and the newest are left", func() bool { return b.letters() == 2 })
	left := b.all(queue.DeadLetters, ">")
	if left[0].Sequence != 1 || left[1].Sequence != b.last(queue.DeadLetters) {
		t.Errorf("letters %d and %d are left", left[0].Sequence, left[1].Sequence)
	}
}

func TestALetterThatCannotBeAuditedStays(t *testing.T) {
	b := newBed(t)
	b.store(tier.Primary)
	b.bury(tier.Primary, queue.SourceGone, completed(nil))
	if err := b.JS.DeleteStream(t.Context(), queue.Audit); err != nil {
		t.Fatal(err)
	}
	n := name{tier: tier.Primary, key: key}
	b.cases = map[name]*casefile{n: {letters: []letter{{sequence: 1, reason: queue.SourceGone}}}}
	if _, err := b.judge(t.Context(), n); err == nil || b.letters() != 1 {
		t.Errorf("%d letters, %v", b.letters(), err)
	}
}

func TestAStoreThatDoesNotAnswerDecidesNothing(t *testing.T) {
	for _, op := range []memstore.Op{memstore.Stat, memstore.Open, memstore.Link} {
		for _, sick := range tier.All() {
			if op == memstore.Link && sick == tier.Primary {
				continue // its link is not asked for
			}
			t.Run(string(op)+" "+sick.String(), func(t *testing.T) {
				b := newBed(t)
				b.agree()
				b.store(tier.Backup)
				b.stores[sick].Before(op, memstore.Always(errAway()))
				b.bury(tier.Primary, queue.SourceGone, completed(nil))
				follow(t, b.Follower)
				b.looked(tier.Primary, 3)
				b.wantRedrives(tier.Primary, 0)
				b.stores[sick].Heal()
				b.until("it is sent again", func() bool { return len(b.sentTo(tier.Primary)) == 1 })
			})
		}
	}
}

func TestLettersThatSomebodyRemovedAreForgotten(t *testing.T) {
	b := newBed(t)
	b.agree()
	b.bury(tier.Primary, queue.SourceGone, completed(nil))
	b.give(tier.Backup, queue.InvalidEvent, 2, "recordings.completed.both", []byte("hello"))
	b.give(tier.Backup, queue.InvalidEvent, 3, "recordings.completed.both", []byte("hello again"))
	follow(t, b.Follower)
	b.until("they are known", func() bool { return b.count() == 3 })
	for _, seq := range []uint64{1, 2} {
		if err := b.stream(queue.DeadLetters).DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	b.until("they are forgotten", func() bool { return b.count() == 1 })
	if got := b.Open(); got[tier.Backup][queue.InvalidEvent] != 1 || len(got[tier.Primary]) != 0 {
		t.Errorf("open: %v", got)
	}
}

func TestOpenCountsAsTheListDoes(t *testing.T) {
	b := newBed(t)
	b.agree()
	b.bury(tier.Primary, queue.SourceGone, completed(nil))
	b.bury(tier.Primary, queue.StoreRefused, completed(nil))
	b.bury(tier.Primary, queue.DigestConflict, completed(nil))
	b.bury(tier.Primary, queue.DigestConflict, completed(nil))
	b.bury(tier.Backup, queue.SourceGone, completed(nil))
	follow(t, b.Follower)
	b.until("they are known", func() bool { return b.count() == 5 })
	got := b.Open()
	if p := got[tier.Primary]; len(p) != 2 || p[queue.StoreRefused] != 1 || p[queue.DigestConflict] != 2 || got[tier.Backup][queue.SourceGone] != 1 {
		t.Errorf("open: %v", got)
	}
}
