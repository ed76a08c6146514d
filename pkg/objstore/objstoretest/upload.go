package objstoretest

import (
	"errors"
	"sync"
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// commit commits u as body and checks what the answer says.
func (f fixture) commit(t *testing.T, u objstore.Upload, body []byte, tags map[string]string) objstore.Info {
	t.Helper()
	info, err := u.Commit(f.ctx, digest.Of(body), tags)
	must(t, err)
	if info.HasCRC64 && !info.Same(digest.Of(body)) || info.Size != int64(len(body)) || info.ETag == "" {
		t.Errorf("the answer says %+v", info)
	}
	return info
}

func invisible(t *testing.T, f fixture) {
	key, body := f.media("large"), random(2*PartSize+17)
	u := f.upload(t, key, body)
	f.invisible(t, key)
	info := f.commit(t, u, body, nil)
	f.holds(t, key, body)
	stat, err := f.Writer.Stat(f.ctx, key)
	must(t, err)
	if stat.ETag != info.ETag || stat.VersionID != info.VersionID || stat.ContentType != "audio/wav" {
		t.Errorf("stat %+v, commit %+v", stat, info)
	}
}

func partsInAnyOrder(t *testing.T, f fixture) {
	key, body := f.media("parallel"), random(3*PartSize+1)
	u, err := f.Writer.Create(f.ctx, key, wav())
	must(t, err)
	parts := split(body)
	last := len(parts)
	must(t, u.Part(f.ctx, last, parts[last-1], digest.CRC64(parts[last-1])))
	var wg sync.WaitGroup
	for n := last - 1; n >= 1; n-- {
		wg.Go(func() {
			if err := u.Part(f.ctx, n, parts[n-1], digest.CRC64(parts[n-1])); err != nil {
				t.Errorf("part %d: %v", n, err)
			}
		})
	}
	wg.Wait()
	f.commit(t, u, body, nil)
	f.holds(t, key, body)
}

func partTwice(t *testing.T, f fixture) {
	key, body, stale := f.media("again"), random(400), random(500)
	u := f.upload(t, key, stale)
	buffer := append([]byte{}, body...)
	must(t, u.Part(f.ctx, 1, buffer, digest.CRC64(buffer)))
	clear(buffer) // free again on return
	f.commit(t, u, body, nil)
	f.holds(t, key, body)
}

func onePart(t *testing.T, f fixture) {
	key, body := f.media("short"), []byte{1}
	f.commit(t, f.upload(t, key, body), body, nil)
	f.holds(t, key, body)
}

func tagsOfCommit(t *testing.T, f fixture) {
	body := random(100)
	for name, opened := range map[string]map[string]string{"same": tags(), "others": {"recording-id": "rec-1", "x": "y"}, "none": nil} {
		key := f.media(name)
		u, err := f.Writer.Create(f.ctx, key, objstore.Options{ContentType: "audio/webm", Tags: opened})
		must(t, err)
		must(t, u.Part(f.ctx, 1, body, digest.CRC64(body)))
		f.commit(t, u, body, tags())
		f.looks(t, key, "audio/webm", tags())
		f.holds(t, key, body)
	}
}

func wrongPart(t *testing.T, f fixture) {
	key, body := f.media("damaged"), random(1000)
	u, err := f.Writer.Create(f.ctx, key, wav())
	must(t, err)
	refused(t, u.Part(f.ctx, 1, body, digest.CRC64(body)+1), fault.Corrupt)
	refused(t, u.Part(f.ctx, 0, body, digest.CRC64(body)), fault.Permanent)
	refused(t, u.Part(f.ctx, objstore.MaxParts+1, body, digest.CRC64(body)), fault.Permanent)
	must(t, u.Part(f.ctx, 1, body, digest.CRC64(body)))
	f.commit(t, u, body, nil)
	f.holds(t, key, body)
}

func wrongWhole(t *testing.T, f fixture) {
	body := random(PartSize + 1000)
	swapped := append(append([]byte{}, body[1000:]...), body[:1000]...)
	shorter := digest.Of(body)
	shorter.Size--
	for name, d := range map[string]digest.Digest{"other": digest.Of(swapped), "shorter": shorter} {
		key := f.media(name)
		u := f.upload(t, key, body)
		_, err := u.Commit(f.ctx, d, nil)
		refused(t, err, fault.Corrupt)
		must(t, u.Abort(f.ctx))
		f.invisible(t, key)
	}
}

func hole(t *testing.T, f fixture) {
	key, body := f.media("hole"), random(1000)
	u, err := f.Writer.Create(f.ctx, key, wav())
	must(t, err)
	_, err = u.Commit(f.ctx, digest.Of(nil), nil)
	refused(t, err, fault.Permanent)
	must(t, u.Part(f.ctx, 2, body, digest.CRC64(body)))
	_, err = u.Commit(f.ctx, digest.Of(body), nil)
	refused(t, err, fault.Permanent)
	must(t, u.Abort(f.ctx))
	f.invisible(t, key)
}

func commitAgainstPut(t *testing.T, f fixture) {
	key, first, second := f.media("put-first"), random(500), random(500)
	f.put(t, key, first)
	u := f.upload(t, key, second)
	_, err := u.Commit(f.ctx, digest.Of(second), nil)
	unknown(t, err)
	must(t, u.Abort(f.ctx))
	f.holds(t, key, first)
}

func putAgainstCommit(t *testing.T, f fixture) {
	key, first, second := f.media("commit-first"), random(500), random(500)
	f.commit(t, f.upload(t, key, first), first, nil)
	_, err := f.Writer.Put(f.ctx, key, second, digest.Of(second), wav())
	unknown(t, err)
	f.holds(t, key, first)
}

func secondCommit(t *testing.T, f fixture) {
	key, first, second := f.media("both"), random(PartSize+1), random(PartSize+1)
	one, two := f.upload(t, key, first), f.upload(t, key, second)
	f.commit(t, one, first, nil)
	_, err := two.Commit(f.ctx, digest.Of(second), nil)
	unknown(t, err)
	must(t, two.Abort(f.ctx))
	f.holds(t, key, first)
}

func lostCommit(t *testing.T, f fixture) {
	key, body := f.media("lost"), random(1000)
	u := f.upload(t, key, body)
	restore := f.LoseAnswers()
	_, err := u.Commit(f.ctx, digest.Of(body), nil)
	restore()
	unknown(t, err)
	must(t, u.Abort(f.ctx))
	f.holds(t, key, body)
}

func abort(t *testing.T, f fixture) {
	key, body := f.media("aborted"), random(1000)
	u := f.upload(t, key, body)
	must(t, u.Abort(f.ctx))
	f.invisible(t, key)
	if u.ID() != "" {
		_, err := u.Commit(f.ctx, digest.Of(body), nil)
		unknown(t, err)
		if err := u.Part(f.ctx, 1, body, digest.CRC64(body)); !fault.Is(err, fault.Transient, fault.Store) {
			t.Errorf("a part of an aborted upload: %v (%v)", err, fault.ClassOf(err))
		}
	}
	f.invisible(t, key)
	f.reopened(t, key, body)
}

// reopened stores body under key by a new upload. It is no Put: Azurite refuses one while blocks of another upload lie there.
func (f fixture) reopened(t *testing.T, key string, body []byte) {
	t.Helper()
	f.commit(t, f.upload(t, key, body), body, nil)
	f.holds(t, key, body)
}

// abandon has nothing to show where uploads need no cleaning up (their ID is "").
func abandon(t *testing.T, f fixture) {
	key, body := f.media("abandoned"), random(1000)
	u := f.upload(t, key, body)
	for range 2 {
		must(t, f.Writer.Abandon(f.ctx, key, u.ID()))
	}
	if u.ID() != "" {
		_, err := u.Commit(f.ctx, digest.Of(body), nil)
		unknown(t, err)
	}
	must(t, u.Abort(f.ctx))
	f.invisible(t, key)
	f.reopened(t, key, body)
}

func abandonHarmless(t *testing.T, f fixture) {
	key, body := f.media("kept"), random(1000)
	u := f.upload(t, key, body)
	f.commit(t, u, body, nil)
	other := f.media("other")
	running := f.upload(t, other, body)
	for _, id := range []string{u.ID(), "", "no-such-upload", running.ID()} {
		if err := f.Writer.Abandon(f.ctx, key, id); err != nil {
			t.Errorf("abandon %q: %v", id, err)
		}
	}
	f.holds(t, key, body)
	f.commit(t, running, body, nil)
	f.holds(t, other, body)
	if err := f.Writer.Abandon(f.ctx, f.media("never"), "no-such-upload"); err != nil && !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("abandon where nothing ever was: %v", err)
	}
}
