package memstore_test

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/objstore/objstoretest"
)

func TestConformance(t *testing.T) {
	for _, run := range []func(*testing.T, func(*testing.T) objstoretest.Pair){objstoretest.Run, objstoretest.RunStreams} {
		run(t, pair)
	}
}

func pair(t *testing.T) objstoretest.Pair {
	s := memstore.New("recordings")
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.ServeAt(server.URL)
	lost := fault.New(fault.Unavailable, fault.Store, "wait for the answer", objstore.ErrUnknown)
	return objstoretest.Pair{
		Writer: s, Reader: s,
		Look: func(t testing.TB, key string) (string, map[string]string) {
			o, ok := s.Object(key)
			if !ok {
				t.Fatalf("%s is not there", key)
			}
			return o.ContentType, o.Tags
		},
		LoseAnswers: func() func() {
			s.After(memstore.Put, memstore.Always(lost))
			s.After(memstore.Commit, memstore.Always(lost))
			return s.Heal
		},
	}
}

func TestTheNthCallFailsBeforeItTakesEffect(t *testing.T) {
	s, broken := memstore.New("b"), errors.New("broken")
	s.Before(memstore.Put, memstore.Nth(2, broken))
	for n, want := range []error{nil, broken, nil} {
		key := string(rune('a' + n))
		_, err := s.Put(t.Context(), key, nil, digest.Of(nil), objstore.Options{})
		if !errors.Is(err, want) {
			t.Errorf("put %d: %v", n+1, err)
		}
		if _, there := s.Object(key); there != (want == nil) {
			t.Errorf("put %d: visible %v", n+1, there)
		}
	}
	if s.Calls(memstore.Put) != 3 || s.Calls(memstore.Stat) != 0 || s.Keys() != 2 {
		t.Errorf("%d puts, %d stats, %d keys", s.Calls(memstore.Put), s.Calls(memstore.Stat), s.Keys())
	}
}

func TestAHookMayHoldACallUntilItsContextEnds(t *testing.T) {
	s := memstore.New("b")
	ctx, cancel := context.WithCancel(t.Context())
	s.Before(memstore.Commit, func(context.Context, memstore.Call) error { cancel(); return nil })
	u, err := s.Create(ctx, "k", objstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Part(ctx, 1, []byte("x"), digest.CRC64([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Commit(ctx, digest.Of([]byte("x")), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("commit: %v", err)
	}
	if s.Keys() != 0 || s.OpenUploads() != 1 {
		t.Errorf("%d keys, %d open uploads", s.Keys(), s.OpenUploads())
	}
	if err := u.Abort(t.Context()); err != nil || s.OpenUploads() != 0 {
		t.Errorf("abort: %v, %d open uploads", err, s.OpenUploads())
	}
}

func TestAForeignObjectHasNoChecksum(t *testing.T) {
	s := memstore.New("b")
	s.Plant("k", memstore.Object{Body: []byte("foreign"), NoChecksum: true})
	info, err := s.Stat(t.Context(), "k")
	if err != nil || info.HasCRC64 || info.Size != 7 || info.Same(digest.Of([]byte("foreign"))) {
		t.Errorf("%+v %v", info, err)
	}
	s.Lose("k")
	if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("lost: %v", err)
	}
}

func TestAStoreThatIsNotServedCannotLink(t *testing.T) {
	if l, err := memstore.New("b").Link(t.Context(), "k", time.Minute); l.URL != "" || !errors.Is(err, objstore.ErrCannotLink) {
		t.Errorf("%q %v", l.URL, err)
	}
}

func TestWhatATestSeesIsACopy(t *testing.T) {
	s, body := memstore.New("b"), []byte("body")
	s.Plant("k", memstore.Object{Body: body, Tags: map[string]string{"a": "b"}})
	body[0] = 'x'
	o, _ := s.Object("k")
	o.Body[1], o.Tags["a"] = 'x', "x"
	if o, _ := s.Object("k"); !bytes.Equal(o.Body, []byte("body")) || o.Tags["a"] != "b" {
		t.Errorf("the store's own bytes were changed: %q %v", o.Body, o.Tags)
	}
}
