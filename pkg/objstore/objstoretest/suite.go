// Package objstoretest is what every driver of package objstore must keep to: one suite, run over the driver in memory
// and over the real servers. A new driver is done when it passes.
package objstoretest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"testing"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// PartSize is the size in bytes of all parts but the last: the least that S3 takes.
const PartSize = 5 << 20

// Pair is one store as its writer and its reader see it.
type Pair struct {
	Writer objstore.Writer
	Reader objstore.Reader
	// Look returns the content type and the tags of an object, by other means than the driver's.
	Look func(t testing.TB, key string) (contentType string, tags map[string]string)
	// LoseAnswers makes the store take the committing calls that follow, and lose its answers to them, until restored.
	LoseAnswers func() (restore func())
	// NoLinks says that the reader's identity is of a kind that cannot sign links.
	NoLinks bool
}

// Run runs the suite. open is called once for each test; keys carry a random part, so the store need not be empty and
// may be shared.
func Run(t *testing.T, open func(t *testing.T) Pair) {
	for _, c := range []struct {
		name string
		test func(*testing.T, fixture)
	}{
		{"a sidecar comes back as it was put", putAndRead},
		{"an empty object and one of a byte", smallObjects},
		{"content type and tags arrive", attributesOfPut},
		{"a second put changes nothing", secondPut},
		{"of many creators exactly one wins", manyPuts},
		{"of many commits exactly one wins", manyCommits},
		{"a body that is not the digest's is refused", wrongBody},
		{"a lost answer is unknown, and Stat shows the object", lostPut},
		{"a cancelled call does nothing", cancelled},
		{"nothing is visible before the commit", invisible},
		{"parts may come in any order and at once", partsInAnyOrder},
		{"a part may be sent again", partTwice},
		{"an upload of one small part", onePart},
		{"tags come with the commit", tagsOfCommit},
		{"a part that is not its checksum's is refused", wrongPart},
		{"a whole that is not its digest's is refused", wrongWhole},
		{"an upload with a hole is refused", hole},
		{"a commit against an object changes nothing", commitAgainstPut},
		{"a put against a commit changes nothing", putAgainstCommit},
		{"a second commit of another upload changes nothing", secondCommit},
		{"a lost answer to a commit is unknown, and Stat shows the object", lostCommit},
		{"an aborted upload is gone", abort},
		{"an abandoned upload cannot be committed", abandon},
		{"abandoning is harmless", abandonHarmless},
		{"what is absent is said to be", absence},
		{"a writer reads sidecars only", sidecarsOnly},
		{"a listing ascends and is whole", listing},
		{"a range of a listing has what is in it, and nothing else", listedRange},
		{"tags are read as they were given", readTags},
		{"ranges are read", ranges},
		{"a link reads its object, and nothing else", link},
		{"a link to what is absent finds nothing", linkToAbsent},
		{"a link lives for an hour at most, and ends", linkLife},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(t, fixture{Pair: open(t), ctx: t.Context(), run: rand.Text()[:10]})
		})
	}
}

// fixture is what a test works with.
type fixture struct {
	Pair
	ctx context.Context
	run string // random, in every key
}

func (f fixture) media(name string) string   { return "recordings/" + f.run + "/" + name + ".wav" }
func (f fixture) sidecar(name string) string { return "metadata/" + f.run + "/" + name + ".json" }

// random returns n bytes that no other test has.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func wav() objstore.Options { return objstore.Options{ContentType: "audio/wav"} }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put stores body under key.
func (f fixture) put(t *testing.T, key string, body []byte) objstore.Info {
	t.Helper()
	info, err := f.Writer.Put(f.ctx, key, body, digest.Of(body), wav())
	must(t, err)
	return info
}

// upload opens an upload of key and sends body in parts.
func (f fixture) upload(t *testing.T, key string, body []byte) objstore.Upload {
	t.Helper()
	u, err := f.Writer.Create(f.ctx, key, wav())
	must(t, err)
	for n, part := range split(body) {
		must(t, u.Part(f.ctx, n+1, part, digest.CRC64(part)))
	}
	return u
}

// split cuts body into parts.
func split(body []byte) [][]byte {
	var parts [][]byte
	for len(body) > PartSize {
		parts = append(parts, body[:PartSize])
		body = body[PartSize:]
	}
	return append(parts, body)
}

// holds checks that body, and nothing else, is visible under key: by both Stats, the reader's bytes and the listing.
func (f fixture) holds(t *testing.T, key string, body []byte) {
	t.Helper()
	d := digest.Of(body)
	for _, stat := range []func(context.Context, string) (objstore.Info, error){f.Writer.Stat, f.Reader.Stat} {
		info, err := stat(f.ctx, key)
		must(t, err)
		if !info.Same(d) || info.Key != key || info.ETag == "" || info.Modified.IsZero() {
			t.Errorf("stat of %s: %+v, want size %d and crc64 %d", key, info, d.Size, d.CRC64)
		}
	}
	if got := f.read(t, key, 0, -1); !bytes.Equal(got, body) {
		t.Errorf("%s reads as %d other bytes", key, len(got))
	}
	versions := f.list(t, key)
	if len(versions) != 1 || versions[0].Key != key || versions[0].Size != d.Size || !versions[0].Latest {
		t.Errorf("listing of %s: %+v, want one version", key, versions)
		return
	}
	info, err := f.Reader.StatVersion(f.ctx, key, versions[0].VersionID)
	must(t, err)
	if info.Size != d.Size || info.HasCRC64 && !info.Same(d) || info.Key != key || info.ETag != versions[0].ETag || info.Latest {
		t.Errorf("stat of its one version: %+v, want size %d and crc64 %d", info, d.Size, d.CRC64)
	}
}

func (f fixture) read(t *testing.T, key string, off, n int64) []byte {
	t.Helper()
	r, err := f.Reader.Open(f.ctx, key, off, n)
	must(t, err)
	b, err := io.ReadAll(r)
	must(t, errors.Join(err, r.Close()))
	return b
}

func (f fixture) list(t *testing.T, prefix string) []objstore.Info {
	t.Helper()
	var all []objstore.Info
	for info, err := range f.Reader.List(f.ctx, prefix) {
		must(t, err)
		all = append(all, info)
	}
	return all
}

// invisible checks that nothing is to be seen under key.
func (f fixture) invisible(t *testing.T, key string) {
	t.Helper()
	if info, err := f.Writer.Stat(f.ctx, key); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("stat of %s: %+v %v, want %v", key, info, err, objstore.ErrNotExist)
	}
	if all := f.list(t, key); len(all) != 0 {
		t.Errorf("listing of %s: %+v, want nothing", key, all)
	}
}

// unknown checks that err leaves the outcome open, and is a fault of the store.
func unknown(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, objstore.ErrUnknown) || fault.PartOf(err) != fault.Store {
		t.Errorf("got %v, want %v", err, objstore.ErrUnknown)
	}
}

// refused checks that err is a refusal of that class, which leaves nothing open.
func refused(t *testing.T, err error, class fault.Class) {
	t.Helper()
	if errors.Is(err, objstore.ErrUnknown) || !fault.Is(err, class, fault.Store) {
		t.Errorf("got %v (%v), want a refusal of class %v", err, fault.ClassOf(err), class)
	}
}
