// Package memstore is an object store in memory, for fast tests of everything above the seam objstore.
//
// It keeps the rules that the clouds keep: conditional creates, checksums of parts and of the whole, uploads that are
// invisible until committed and cannot be committed once abandoned. It has no versions. Tests look at what happens, and
// break it, by hooks (see Before and After), and may do what no program can: Plant and Lose objects.
package memstore

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// Store is a bucket in memory: an objstore.Writer and an objstore.Reader. It is safe for concurrent use.
type Store struct {
	bucket string
	now    func() time.Time

	mu      sync.Mutex
	objects map[string]Object
	uploads map[string]*upload   // open ones, by ID
	streams map[*stream]struct{} // open ones
	links   map[string]link      // by signature
	address string               // where links are answered
	serial  int
	calls   map[Op]int
	before  map[Op][]Hook
	after   map[Op][]Hook
}

// Object is what the store holds under a key.
type Object struct {
	Body        []byte
	ContentType string
	Tags        map[string]string
	ETag        string
	Modified    time.Time
	NoChecksum  bool // the store reports no whole-object checksum for it, as for a foreign object
}

// New returns an empty bucket of that name.
func New(bucket string) *Store {
	return &Store{
		bucket: bucket, now: time.Now, objects: map[string]Object{}, uploads: map[string]*upload{}, streams: map[*stream]struct{}{},
		links: map[string]link{},
		calls: map[Op]int{}, before: map[Op][]Hook{}, after: map[Op][]Hook{},
	}
}

// Bucket implements objstore.Writer and objstore.Reader.
func (s *Store) Bucket() string { return s.bucket }

// Object returns a copy of what is visible under key.
func (s *Store) Object(key string) (Object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[key]
	return copied(o), ok
}

// Keys returns the number of visible objects.
func (s *Store) Keys() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.objects)
}

// OpenUploads returns how many uploads and streams are neither committed nor aborted.
func (s *Store) OpenUploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uploads) + len(s.streams)
}

// Plant puts an object under key, whatever is there: what somebody else does behind the program's back.
func (s *Store) Plant(key string, o Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(key, copied(o))
}

// Lose removes the object under key behind the program's back.
func (s *Store) Lose(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
}

// put makes o visible. The lock is held.
func (s *Store) put(key string, o Object) Object {
	s.serial++
	o.ETag, o.Modified = fmt.Sprintf("etag-%d", s.serial), s.now().UTC()
	s.objects[key] = o
	return o
}

// create makes o visible unless the key is taken, after holding its bytes against d. The lock is held.
func (s *Store) create(op, key string, o Object, d digest.Digest) (objstore.Info, error) {
	if int64(len(o.Body)) != d.Size || digest.CRC64(o.Body) != d.CRC64 {
		return objstore.Info{}, fault.New(fault.Corrupt, fault.Store, op, errors.New("the bytes are not those of the digest"))
	}
	if _, taken := s.objects[key]; taken {
		return objstore.Info{}, unknown(op, "an object of that key exists")
	}
	return describe(key, s.put(key, o)), nil
}

func copied(o Object) Object {
	o.Body, o.Tags = append([]byte{}, o.Body...), maps.Clone(o.Tags)
	return o
}

func describe(key string, o Object) objstore.Info {
	i := objstore.Info{
		Key: key, Size: int64(len(o.Body)), ETag: o.ETag, ContentType: o.ContentType, Modified: o.Modified, Latest: true,
	}
	if !o.NoChecksum {
		i.CRC64, i.HasCRC64 = digest.CRC64(o.Body), true
	}
	return i
}

func unknown(op, why string) error {
	return fault.New(fault.Transient, fault.Store, op, fmt.Errorf("%w: %s", objstore.ErrUnknown, why))
}

func absent(op string) error {
	return fault.New(fault.Transient, fault.Store, op, objstore.ErrNotExist)
}
