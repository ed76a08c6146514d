package objstoretest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"sync"
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// tags returns tags with every kind of character that both clouds take, and one without a value.
func tags() map[string]string {
	return map[string]string{"recording-id": "rec-1_a.b", "source": "default", "queue": "billing + a/b:c=d", "empty": ""}
}

func putAndRead(t *testing.T, f fixture) {
	key, body := f.sidecar("one"), []byte(`{"recordingId":"rec-1","size":1}`)
	info, err := f.Writer.Put(f.ctx, key, body, digest.Of(body), objstore.Options{ContentType: "application/json"})
	must(t, err)
	if !info.Same(digest.Of(body)) || info.Key != key || info.ETag == "" {
		t.Errorf("the answer proves %+v", info)
	}
	got, err := f.Writer.ReadSidecar(f.ctx, key)
	must(t, err)
	if !bytes.Equal(got, body) {
		t.Errorf("read %q", got)
	}
	f.holds(t, key, body)
	stat, err := f.Writer.Stat(f.ctx, key)
	must(t, err)
	if stat.ETag != info.ETag || stat.VersionID != info.VersionID || stat.ContentType != "application/json" {
		t.Errorf("stat %+v, put %+v", stat, info)
	}
}

func smallObjects(t *testing.T, f fixture) {
	for name, body := range map[string][]byte{"empty": {}, "byte": {7}} {
		key := f.media(name)
		if info := f.put(t, key, body); !info.Same(digest.Of(body)) {
			t.Errorf("%s: the answer proves %+v", name, info)
		}
		f.holds(t, key, body)
	}
}

func attributesOfPut(t *testing.T, f fixture) {
	key, body := f.media("tagged"), random(100)
	_, err := f.Writer.Put(f.ctx, key, body, digest.Of(body), objstore.Options{ContentType: "audio/ogg", Tags: tags()})
	must(t, err)
	f.looks(t, key, "audio/ogg", tags())
	bare := f.media("bare")
	f.put(t, bare, body)
	f.looks(t, bare, "audio/wav", nil)
}

func (f fixture) looks(t *testing.T, key, contentType string, want map[string]string) {
	t.Helper()
	got, found := f.Look(t, key)
	if got != contentType || len(found) != len(want) || !maps.Equal(found, want) && len(want) > 0 {
		t.Errorf("%s is %q with tags %v, want %q with %v", key, got, found, contentType, want)
	}
}

func secondPut(t *testing.T, f fixture) {
	key, first, second := f.media("twice"), random(300), random(300)
	f.put(t, key, first)
	for _, body := range [][]byte{second, first} {
		_, err := f.Writer.Put(f.ctx, key, body, digest.Of(body), wav())
		unknown(t, err)
	}
	f.holds(t, key, first)
}

// creators is how many try to create one key at once.
const creators = 16

// race runs create for each of many bodies at once, and returns the body whose creator was told that it won.
func race(t *testing.T, create func(body []byte) error) []byte {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var won [][]byte
	for range creators {
		wg.Go(func() {
			body := random(2000)
			err := create(body)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, body)
				return
			}
			unknown(t, err)
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of %d creators were told that they won", len(won), creators)
	}
	return won[0]
}

func manyPuts(t *testing.T, f fixture) {
	key := f.media("raced")
	body := race(t, func(body []byte) error {
		_, err := f.Writer.Put(f.ctx, key, body, digest.Of(body), wav())
		return err
	})
	f.holds(t, key, body)
}

func manyCommits(t *testing.T, f fixture) {
	key := f.media("raced")
	body := race(t, func(body []byte) error {
		u, err := f.Writer.Create(f.ctx, key, wav())
		if err != nil {
			return err
		}
		if err := u.Part(f.ctx, 1, body, digest.CRC64(body)); err != nil {
			return err
		}
		_, err = u.Commit(f.ctx, digest.Of(body), nil)
		if err != nil {
			return errors.Join(err, u.Abort(f.ctx))
		}
		return nil
	})
	f.holds(t, key, body)
}

func wrongBody(t *testing.T, f fixture) {
	key, body := f.media("wrong"), random(1000)
	other, longer := digest.Of(random(1000)), digest.Of(body)
	longer.Size++
	for _, d := range []digest.Digest{other, longer} {
		_, err := f.Writer.Put(f.ctx, key, body, d, wav())
		refused(t, err, fault.Corrupt)
	}
	f.invisible(t, key)
}

func lostPut(t *testing.T, f fixture) {
	key, body := f.media("lost"), random(1000)
	restore := f.LoseAnswers()
	_, err := f.Writer.Put(f.ctx, key, body, digest.Of(body), wav())
	restore()
	unknown(t, err)
	f.holds(t, key, body)
}

func cancelled(t *testing.T, f fixture) {
	ctx, cancel := context.WithCancel(f.ctx)
	key, body := f.media("cancelled"), random(1000)
	u := f.upload(t, key, body)
	cancel()
	_, put := f.Writer.Put(ctx, key, body, digest.Of(body), wav())
	_, commit := u.Commit(ctx, digest.Of(body), nil)
	_, stat := f.Writer.Stat(ctx, key)
	_, open := f.Reader.Open(ctx, key, 0, -1)
	for call, err := range map[string]error{"put": put, "commit": commit, "stat": stat, "open": open, "part": u.Part(ctx, 1, body, digest.CRC64(body))} {
		if !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Transient, fault.Store) {
			t.Errorf("%s: %v (%v)", call, err, fault.ClassOf(err))
		}
	}
	must(t, u.Abort(f.ctx))
	f.invisible(t, key)
}
