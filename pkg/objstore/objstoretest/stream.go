package objstoretest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// RunStreams runs what a Streamer must keep to besides, as Run does: the pairs' writers are Streamers.
func RunStreams(t *testing.T, open func(t *testing.T) Pair) {
	for _, c := range []struct {
		name string
		test func(*testing.T, streaming)
	}{
		{"bytes arrive however they come", streamSizes},
		{"nothing is visible before the commit", streamInvisible},
		{"tags come with the commit", streamTags},
		{"what is not the digest's is refused", streamWrong},
		{"another size than announced is refused", streamOtherSize},
		{"a size that no request takes is refused", streamNoSize},
		{"what was given up is gone", streamAbort},
		{"a cancelled stream does nothing", streamCancelled},
		{"a stream against an object changes nothing", streamAgainstPut},
		{"a put wins against a stream under way", putAgainstStream},
		{"of many streams exactly one wins", manyStreams},
		{"a lost answer is unknown, and Stat shows the object", lostStream},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fixture{Pair: open(t), ctx: t.Context(), run: rand.Text()[:10]}
			s, ok := f.Writer.(objstore.Streamer)
			if !ok {
				t.Fatalf("%T is no Streamer", f.Writer)
			}
			c.test(t, streaming{f, s})
		})
	}
}

// streaming is what a test of streams works with.
type streaming struct {
	fixture
	streamer objstore.Streamer
}

// begin begins to stream size bytes to key.
func (f streaming) begin(t *testing.T, key string, size int) objstore.Stream {
	t.Helper()
	s, err := f.streamer.Stream(f.ctx, key, int64(size), wav())
	must(t, err)
	return s
}

// send writes body in pieces of n bytes, each from a buffer that is used again.
func send(t *testing.T, s objstore.Stream, body []byte, n int) {
	t.Helper()
	buffer := make([]byte, n)
	for len(body) > 0 {
		p := buffer[:copy(buffer, body)]
		if got, err := s.Write(p); err != nil || got != len(p) {
			t.Fatalf("wrote %d of %d bytes: %v", got, len(p), err)
		}
		clear(buffer) // free again on return
		body = body[len(p):]
	}
}

// finish commits s as body and checks what the answer says.
func (f streaming) finish(t *testing.T, s objstore.Stream, body []byte, tags map[string]string) {
	t.Helper()
	info, err := s.Commit(f.ctx, digest.Of(body), tags)
	must(t, err)
	if !info.Same(digest.Of(body)) || info.ETag == "" {
		t.Errorf("the answer proves %+v", info)
	}
}

func streamSizes(t *testing.T, f streaming) {
	for _, c := range []struct{ size, piece int }{
		{1, 1}, {7, 100}, {64 << 10, 64 << 10}, {128 << 10, 128 << 10}, {128<<10 + 1, 128 << 10}, {256<<10 - 1, 1000}, {9<<20 + 5, 300_001}, {9 << 20, 9 << 20},
	} {
		key, body := f.media(fmt.Sprintf("streamed-%d-%d", c.size, c.piece)), random(c.size)
		s := f.begin(t, key, len(body))
		send(t, s, body, c.piece)
		f.finish(t, s, body, nil)
		f.holds(t, key, body)
		f.looks(t, key, "audio/wav", nil)
	}
}

func streamInvisible(t *testing.T, f streaming) {
	key, body := f.media("held-back"), random(3<<20)
	s := f.begin(t, key, len(body))
	send(t, s, body[:1<<20], 1<<16)
	f.invisible(t, key)
	send(t, s, body[1<<20:], 1<<16)
	f.invisible(t, key)
	f.finish(t, s, body, nil)
	f.holds(t, key, body)
}

func streamTags(t *testing.T, f streaming) {
	body := random(100)
	for name, opened := range map[string]map[string]string{"same": tags(), "others": {"recording-id": "rec-1", "x": "y"}, "none": nil} {
		key := f.media(name)
		s, err := f.streamer.Stream(f.ctx, key, int64(len(body)), objstore.Options{ContentType: "audio/webm", Tags: opened})
		must(t, err)
		send(t, s, body, 100)
		f.finish(t, s, body, tags())
		f.looks(t, key, "audio/webm", tags())
		f.holds(t, key, body)
	}
}

func streamWrong(t *testing.T, f streaming) {
	key, body := f.media("damaged"), random(200_000)
	s := f.begin(t, key, len(body))
	send(t, s, body, 1<<16)
	_, err := s.Commit(f.ctx, digest.Of(random(len(body))), nil)
	refused(t, err, fault.Corrupt)
	must(t, s.Abort(f.ctx))
	f.invisible(t, key)
}

func streamOtherSize(t *testing.T, f streaming) {
	body := random(200_000)
	short := f.begin(t, f.media("short"), len(body)+1)
	send(t, short, body, 1<<16)
	for _, d := range []digest.Digest{digest.Of(body), {SHA256: "x", Size: int64(len(body) + 1)}} {
		_, err := short.Commit(f.ctx, d, nil)
		refused(t, err, fault.Corrupt)
	}
	must(t, short.Abort(f.ctx))
	long := f.begin(t, f.media("long"), len(body)-1)
	_, err := long.Write(body)
	refused(t, err, fault.Corrupt)
	must(t, long.Abort(f.ctx))
	f.invisible(t, f.media("short"))
	f.invisible(t, f.media("long"))
}

func streamNoSize(t *testing.T, f streaming) {
	for _, size := range []int64{-1, 0, objstore.MaxStream + 1} {
		_, err := f.streamer.Stream(f.ctx, f.media("no-size"), size, wav())
		refused(t, err, fault.Permanent)
	}
}

func streamAbort(t *testing.T, f streaming) {
	body := random(1 << 20)
	for _, sent := range []int{0, 1, 1 << 19, len(body)} {
		key := f.media(fmt.Sprintf("given-up-%d", sent))
		s := f.begin(t, key, len(body))
		send(t, s, body[:sent], 1<<16)
		must(t, s.Abort(f.ctx))
		must(t, s.Abort(f.ctx))
		f.invisible(t, key)
		f.put(t, key, body)
		f.holds(t, key, body)
	}
}

func streamCancelled(t *testing.T, f streaming) {
	key, body := f.media("cancelled"), random(1<<20)
	ctx, cancel := context.WithCancel(f.ctx)
	s, err := f.streamer.Stream(ctx, key, int64(len(body)), wav())
	must(t, err)
	send(t, s, body[:1<<18], 1<<16)
	cancel()
	if _, err := s.Write(body[1<<18:]); !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Transient, fault.Store) {
		t.Errorf("write: %v (%v)", err, fault.ClassOf(err))
	}
	_, err = s.Commit(ctx, digest.Of(body), nil)
	if err == nil {
		t.Error("committed although cancelled")
	}
	must(t, s.Abort(f.ctx))
	if _, err := f.streamer.Stream(ctx, key, 1, wav()); !errors.Is(err, context.Canceled) {
		t.Errorf("begun although cancelled: %v", err)
	}
	f.invisible(t, key)
}

func streamAgainstPut(t *testing.T, f streaming) {
	key, first, second := f.media("put-first"), random(500), random(5<<20)
	f.put(t, key, first)
	s := f.begin(t, key, len(second))
	if n, err := s.Write(second); err != nil {
		refused(t, err, fault.Unavailable) // the connection was closed before the answer could be read
	} else if _, err = s.Commit(f.ctx, digest.Of(second), nil); n == len(second) {
		unknown(t, err)
	}
	must(t, s.Abort(f.ctx))
	f.holds(t, key, first)
}

func putAgainstStream(t *testing.T, f streaming) {
	key, first, second := f.media("put-between"), random(5<<20), random(500)
	s := f.begin(t, key, len(first))
	send(t, s, first, 1<<16)
	f.put(t, key, second)
	_, err := s.Commit(f.ctx, digest.Of(first), nil)
	unknown(t, err)
	must(t, s.Abort(f.ctx))
	f.holds(t, key, second)
}

func manyStreams(t *testing.T, f streaming) {
	key := f.media("raced")
	body := race(t, func(body []byte) error {
		s, err := f.streamer.Stream(f.ctx, key, int64(len(body)), wav())
		if err != nil {
			return err
		}
		if _, err := s.Write(body); err != nil {
			return err
		}
		if _, err = s.Commit(f.ctx, digest.Of(body), nil); err != nil {
			return errors.Join(err, s.Abort(f.ctx))
		}
		return nil
	})
	f.holds(t, key, body)
}

func lostStream(t *testing.T, f streaming) {
	key, body := f.media("lost"), random(1000)
	s := f.begin(t, key, len(body))
	send(t, s, body, 100)
	restore := f.LoseAnswers()
	_, err := s.Commit(f.ctx, digest.Of(body), nil)
	restore()
	unknown(t, err)
	must(t, s.Abort(f.ctx))
	f.holds(t, key, body)
}
