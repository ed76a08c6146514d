package readback

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/event"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

const key = "recordings/rec-1.wav"

var media = bytes.Repeat([]byte("RIFF and more of it"), 50_000)

// breaking is a store whose answers break off.
type breaking struct {
	*memstore.Store
	after  int                             // bytes of each answer, 0: all
	ending func(ctx context.Context) error // what comes then
	opened []int64                         // offsets
}

func (b *breaking) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	b.opened = append(b.opened, off)
	body, err := b.Store.Open(ctx, key, off, n)
	if err != nil || b.after == 0 {
		return body, err
	}
	return io.NopCloser(io.MultiReader(io.LimitReader(body, int64(b.after)), endsAs(func() error { return b.ending(ctx) }))), nil
}

type endsAs func() error

func (e endsAs) Read([]byte) (int, error) { return 0, e() }

func store(body []byte) *breaking {
	s := memstore.New("bucket")
	s.Plant(key, memstore.Object{Body: body})
	return &breaking{Store: s}
}

func away(context.Context) error {
	return fault.New(fault.Unavailable, fault.Store, "read", errors.New("reset"))
}

func TestACopyIsReadAndProven(t *testing.T) {
	var out bytes.Buffer
	told := 0
	r := New()
	r.Read = func(n int) { told += n }
	if err := r.Copy(t.Context(), store(media), key, digest.Of(media), &out); err != nil || !bytes.Equal(out.Bytes(), media) || told != len(media) {
		t.Errorf("%d bytes, told of %d: %v", out.Len(), told, err)
	}
	if err := r.Copy(t.Context(), store(nil), key, digest.Of(nil), &out); err != nil {
		t.Errorf("an empty one: %v", err)
	}
}

func TestWhatBreaksOffIsTakenUpWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(media)
		s.after, s.ending = 300_000, away
		var out bytes.Buffer
		if err := New().Copy(t.Context(), s, key, digest.Of(media), &out); err != nil || !bytes.Equal(out.Bytes(), media) {
			t.Errorf("%d bytes: %v", out.Len(), err)
		}
		if len(s.opened) != 4 || s.opened[1] != 300_000 {
			t.Errorf("opened at %v", s.opened)
		}
	})
}

func TestWhatDoesNotMoveEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store(media)
		started := time.Now()
		err := New().Copy(t.Context(), stuck{s}, key, digest.Of(media), io.Discard)
		if !errors.Is(err, errStalled) || time.Since(started) > 10*time.Minute || len(s.opened) != Resumes+1 {
			t.Errorf("after %s and %d tries: %v", time.Since(started), len(s.opened), err)
		}
	})
}

// stuck is a store whose answers never bring a byte.
type stuck struct{ *breaking }

func (s stuck) Open(ctx context.Context, _ string, off, _ int64) (io.ReadCloser, error) {
	s.opened = append(s.opened, off)
	return io.NopCloser(endsAs(func() error { <-ctx.Done(); return ctx.Err() })), nil
}

func TestOtherBytesAreNoCopy(t *testing.T) {
	flipped := bytes.Clone(media)
	flipped[777] ^= 1
	for name, body := range map[string][]byte{"a flipped bit": flipped, "a shorter one": media[:len(media)-1], "another": []byte("RIFX")} {
		t.Run(name, func(t *testing.T) {
			if err := New().Copy(t.Context(), store(body), key, digest.Of(media), io.Discard); !errors.Is(err, ErrDiffers) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhatAskingAgainCannotMendIsNotAskedAgain(t *testing.T) {
	for name, c := range map[string]error{
		"absent": objstore.NotExist("open"), "denied": fault.New(fault.Denied, fault.Store, "open", errors.New("no")),
		"permanent": fault.New(fault.Permanent, fault.Store, "open", errors.New("no")),
	} {
		t.Run(name, func(t *testing.T) {
			s := store(media)
			s.Before(memstore.Open, memstore.Always(c))
			if err := New().Copy(t.Context(), s, key, digest.Of(media), io.Discard); !errors.Is(err, c) || len(s.opened) != 1 {
				t.Errorf("asked %d times: %v", len(s.opened), err)
			}
		})
	}
	s := store(media)
	if err := New().Copy(t.Context(), s, key, digest.Of(media), broken{}); !errors.Is(err, errDisk) || len(s.opened) != 1 {
		t.Errorf("a full disk: asked %d times: %v", len(s.opened), err)
	}
}

var errDisk = errors.New("no space left")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errDisk }

func TestWhatIsAgreedIsWhatTheSidecarsSay(t *testing.T) {
	entry := func(body string) []byte {
		e, err := event.NewEntry(event.New(event.Data{RecordingID: "rec-1", Source: event.DefaultSource, Media: event.Media{URL: "https://x.example.com/a", Format: "wav"}},
			"e", time.Unix(1000, 0)), digest.Of([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		return e.Sidecar
	}
	for name, c := range map[string]struct {
		primary, backup []byte
		away            tier.Tier
		want            error
		asides          int
	}{
		"both":                     {entry("a"), entry("a"), "", nil, 0},
		"one":                      {nil, entry("a"), "", nil, 1},
		"one, and the other away":  {entry("a"), entry("a"), tier.Primary, nil, 1},
		"two that contradict":      {entry("a"), entry("b"), "", ErrDiffers, 0},
		"none":                     {nil, nil, "", ErrUnknown, 2},
		"none, and the other away": {nil, nil, tier.Backup, errDisk, 2},
		"no sidecar at its key":    {[]byte("?"), entry("a"), "", nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			stores := map[tier.Tier]objstore.Reader{}
			for tr, b := range map[tier.Tier][]byte{tier.Primary: c.primary, tier.Backup: c.backup} {
				s := memstore.New("bucket")
				if b != nil {
					s.Plant(event.SidecarKey("rec-1"), memstore.Object{Body: b})
				}
				if tr == c.away {
					s.Before(memstore.Open, memstore.Always(errDisk))
				}
				stores[tr] = s
			}
			asides := 0
			e, err := Agreed(t.Context(), stores, "rec-1", func(tier.Tier, error) { asides++ })
			if !errors.Is(err, c.want) || asides != c.asides || err == nil && (e.Digest != digest.Of([]byte("a")) || e.ObjectKey != key) {
				t.Errorf("got %+v, %v, %d asides", e, err, asides)
			}
		})
	}
}

func TestAWellCopyIsToldWithoutReadingIt(t *testing.T) {
	agreed := digest.Entry{Digest: digest.Of(media), ObjectKey: key}
	for name, c := range map[string]struct {
		object *memstore.Object
		want   error
	}{
		"the same": {&memstore.Object{Body: media}, nil}, "no checksum": {&memstore.Object{Body: media, NoChecksum: true}, nil},
		"longer": {&memstore.Object{Body: append(bytes.Clone(media), 'x')}, ErrDiffers}, "other bytes": {&memstore.Object{Body: bytes.ToUpper(media)}, ErrDiffers},
		"absent": {nil, objstore.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New("bucket")
			if c.object != nil {
				s.Plant(key, *c.object)
			}
			if _, err := Well(t.Context(), s, agreed); !errors.Is(err, c.want) || s.Calls(memstore.Open) != 0 {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAFileHasItsNameOnlyOnceItIsKept(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.wav")
	write := func(force bool, text string) *File {
		t.Helper()
		f, err := CreateFile(name, force)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("thrown away: longer"); err != nil {
			t.Fatal(err)
		}
		if err := f.Restart(); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		return f
	}
	f, late := write(false, "one"), write(false, "two")
	if _, err := os.Stat(name); err == nil {
		t.Error("it has its name before it is proven")
	}
	if err := f.Keep(); err != nil {
		t.Fatal(err)
	}
	if err := late.Keep(); !errors.Is(err, ErrExists) {
		t.Errorf("one that came meanwhile: %v", err)
	}
	if _, err := CreateFile(name, false); !errors.Is(err, ErrExists) {
		t.Errorf("got %v", err)
	}
	write(true, "dropped").Drop()
	if b, err := os.ReadFile(name); err != nil || string(b) != "one" {
		t.Errorf("got %q, %v", b, err)
	}
	if err := write(true, "three").Keep(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if b, rerr := os.ReadFile(name); err != nil || rerr != nil || string(b) != "three" || len(left) != 1 {
		t.Errorf("got %q, %d files, %v %v", b, len(left), err, rerr)
	}
	if i, err := os.Stat(name); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", i.Mode())
	}
}
