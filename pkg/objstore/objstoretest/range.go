package objstoretest

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/objstore"
)

func listedRange(t *testing.T, f fixture) {
	prefix := "recordings/" + f.run + "/"
	for _, name := range []string{"a", "b", "b-1", "c", "d"} {
		f.put(t, prefix+name, []byte(name))
	}
	for _, c := range []struct{ after, through, want string }{
		{"a", "c", "b b-1 c"}, // the lower end is not in it, the upper one is
		{"a0", "bz", "b b-1"}, // ends that are no keys
		{"", "b", "a b"},
		{"b-1", "", "c d"},
		{"c", "b", ""},
		{"d", "e", ""},
	} {
		var got []string
		for info, err := range f.Reader.ListRange(f.ctx, bound(prefix, c.after), bound(prefix, c.through)) {
			must(t, err)
			name, ours := strings.CutPrefix(info.Key, prefix)
			if ours { // an open end takes in what other tests put there
				got = append(got, name)
			}
			if !ours && c.after != "" && c.through != "" {
				t.Errorf("%s is not between %s and %s", info.Key, c.after, c.through)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("above %q up to %q: %v, want %s", c.after, c.through, got, c.want)
		}
	}
}

func bound(prefix, name string) string {
	if name == "" {
		return ""
	}
	return prefix + name
}

func readTags(t *testing.T, f fixture) {
	want := map[string]string{"recording-id": "rec-1", "queue": "sales +-./:=_ 1"}
	key := f.media("tagged")
	_, err := f.Writer.Put(f.ctx, key, []byte("x"), digest.Of([]byte("x")), objstore.Options{Tags: want})
	must(t, err)
	got, err := f.Reader.Tags(f.ctx, key)
	must(t, err)
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	plain := f.media("untagged")
	f.put(t, plain, []byte("x"))
	if got, err = f.Reader.Tags(f.ctx, plain); err != nil || got == nil || len(got) != 0 {
		t.Errorf("of an object without tags: %v, %v", got, err)
	}
	if got, err = f.Reader.Tags(f.ctx, f.media("nothing")); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}
