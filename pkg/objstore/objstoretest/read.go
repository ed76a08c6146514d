package objstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

func absence(t *testing.T, f fixture) {
	key := f.media("absent")
	_, stat := f.Writer.Stat(f.ctx, key)
	_, look := f.Reader.Stat(f.ctx, key)
	_, open := f.Reader.Open(f.ctx, key, 0, -1)
	_, sidecar := f.Writer.ReadSidecar(f.ctx, f.sidecar("absent"))
	for call, err := range map[string]error{"writer's stat": stat, "reader's stat": look, "open": open, "sidecar": sidecar} {
		if !errors.Is(err, objstore.ErrNotExist) || fault.PartOf(err) != fault.Store {
			t.Errorf("%s: %v", call, err)
		}
	}
	if all := f.list(t, key); len(all) != 0 {
		t.Errorf("listed %+v", all)
	}
}

func sidecarsOnly(t *testing.T, f fixture) {
	key := f.media("private")
	f.put(t, key, random(10))
	for _, k := range []string{key, "metadata", "audit/metadata/x", ""} {
		b, err := f.Writer.ReadSidecar(f.ctx, k)
		refused(t, err, fault.Permanent)
		if len(b) != 0 {
			t.Errorf("read %d bytes of %q", len(b), k)
		}
	}
	long := f.sidecar("long")
	f.put(t, long, make([]byte, objstore.MaxSidecar+1))
	if b, err := f.Writer.ReadSidecar(f.ctx, long); len(b) != 0 || !fault.Is(err, fault.Corrupt, fault.Store) {
		t.Errorf("a sidecar that is too long: %d bytes, %v", len(b), err)
	}
}

func listing(t *testing.T, f fixture) {
	var want []string
	// The order of bytes, not of people or of folders: "-" < "." < "/" < "0" < "A" < "_" < "a". No key is another's folder:
	// servers on a file system do not take that.
	for _, name := range []string{"a-1", "a.1", "a/1", "a0", "aA", "a_", "aa", "b"} {
		key := "recordings/" + f.run + "/" + name
		want = append(want, key)
		f.put(t, key, []byte(name))
	}
	slices.Sort(want)
	f.put(t, "recordings/"+f.run+"x", []byte("beside"))
	u := f.upload(t, "recordings/"+f.run+"/open", []byte("not committed"))
	var got []string
	for _, info := range f.list(t, "recordings/"+f.run+"/") {
		got = append(got, info.Key)
		if info.HasCRC64 || info.Size == 0 || info.ETag == "" || info.Modified.IsZero() || !info.Latest {
			t.Errorf("listed %+v", info)
		}
	}
	must(t, u.Abort(f.ctx))
	if !slices.Equal(got, want) {
		t.Errorf("listed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, err := range f.Reader.List(f.ctx, "recordings/"+f.run+"/") {
		must(t, err)
		break // a reader may stop where it likes
	}
	stop(t, f)
}

// stop lists with a context that has ended: an error, never an empty listing.
func stop(t *testing.T, f fixture) {
	t.Helper()
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	seen := 0
	for _, err := range f.Reader.List(ctx, "recordings/"+f.run+"/") {
		if seen++; err == nil {
			t.Error("listed although the context has ended")
		}
	}
	if seen != 1 {
		t.Errorf("%d results, want one error", seen)
	}
}

func ranges(t *testing.T, f fixture) {
	key, body := f.media("ranges"), random(1000)
	f.put(t, key, body)
	for _, c := range []struct{ off, n, from, to int64 }{
		{0, -1, 0, 1000},
		{0, 10, 0, 10},
		{990, 10, 990, 1000},
		{990, 100, 990, 1000},
		{500, -1, 500, 1000},
		{7, 0, 7, 7},
		{1000, -1, 1000, 1000},
		{2000, 5, 1000, 1000},
	} {
		t.Run(fmt.Sprintf("%d bytes from %d", c.n, c.off), func(t *testing.T) {
			if got := f.read(t, key, c.off, c.n); !bytes.Equal(got, body[c.from:c.to]) {
				t.Errorf("read %d bytes that are not [%d:%d]", len(got), c.from, c.to)
			}
		})
	}
	_, err := f.Reader.Open(f.ctx, key, -1, 5)
	refused(t, err, fault.Permanent)
}
