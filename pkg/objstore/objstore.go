// Package objstore is the seam to the two object stores: S3 (package s3store), Azure Blob (azstore), memory (memstore).
//
// A Writer can only add; a Reader can only look. No type in the program can delete or replace an object. Every driver
// passes the conformance suite in objstoretest.
//
// Errors are faults (package fault) of part Store, classed where they enter the program: Throttled, Unavailable,
// Denied, Permanent, Transient. The sentinels below are wrapped inside and found with errors.Is.
package objstore

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
)

// ErrNotExist is returned when no object of the key is visible.
var ErrNotExist = errors.New("object does not exist")

// ErrUnknown is returned by a committing call (Put, Upload.Commit) whose outcome cannot be known from its answer:
// somebody else's object may be there (409, 412), ours may have been created although the answer was lost, the upload
// may have been finished or aborted by another. It says nothing about what is stored: Stat, and compare.
var ErrUnknown = errors.New("outcome of the conditional create is unknown")

// Info describes one version of an object.
type Info struct {
	Key         string
	Size        int64
	ETag        string // without quotes
	VersionID   string // "" where the store has no versions
	ContentType string
	CRC64       uint64 // CRC-64/NVME of the whole object, when HasCRC64
	HasCRC64    bool   // false when the store reports no whole-object checksum (listings; foreign objects)
	Modified    time.Time
	Latest      bool // in listings: the version that a plain GET answers with
}

// Same reports whether the object has the size and checksum of d. Without a checksum it is false: look at HasCRC64.
func (i Info) Same(d digest.Digest) bool {
	return i.HasCRC64 && i.Size == d.Size && i.CRC64 == d.CRC64
}

// Options say how an object is created. They are the same for all objects of a kind; what hangs on the agreement
// between the tiers (the digest) comes with the committing call.
type Options struct {
	ContentType string
	Tags        map[string]string // object tags, already fit for both clouds; nil for none
}

// Writer adds objects to one store, under an identity that cannot delete or overwrite.
// It is safe for concurrent use.
type Writer interface {
	// Put creates key from body in one call, conditional on its absence, with the whole-object checksum of d.
	// ErrUnknown: Stat and compare. The returned Info is what the store's answer proves: HasCRC64 only when the store
	// itself confirmed the checksum of what it holds.
	Put(ctx context.Context, key string, body []byte, d digest.Digest, o Options) (Info, error)
	// Create opens an upload of key in parts. Nothing is visible before its Commit.
	Create(ctx context.Context, key string, o Options) (Upload, error)
	// Abandon aborts the upload of key that an earlier holder of the claim left open, by Upload.ID. Already gone, or
	// "": nil. It cannot touch a committed object.
	Abandon(ctx context.Context, key, uploadID string) error
	// Tag sees to it that the object of key has these tags, where a Commit may have ended without them: in a store that
	// sets the tags with the commit itself there is nothing to do.
	Tag(ctx context.Context, key string, tags map[string]string) error
	// Stat describes the visible object, with its whole-object checksum where it has one. ErrNotExist.
	Stat(ctx context.Context, key string) (Info, error)
	// ReadSidecar returns the bytes of an object below metadata/, at most MaxSidecar of them. ErrNotExist; any other key is refused.
	ReadSidecar(ctx context.Context, key string) ([]byte, error)
	// Bucket returns the bucket's or container's name, for records and audit events.
	Bucket() string
}

// ProbeKey is the key of probe writes, of which none is ever committed. A store that keeps parts until they lapse keeps
// one for all of them.
const ProbeKey = "probe/write"

// MaxSidecar bounds the bytes of a sidecar that is read back: an event can be no larger.
const MaxSidecar = 8 << 20

// Upload is one object on its way. Parts may be sent concurrently; Commit and Abort are called once, after all parts
// returned. An upload neither committed nor aborted is never visible.
type Upload interface {
	// ID names the upload for Writer.Abandon. "" when the store needs no cleaning up (Azure's blocks lapse).
	ID() string
	// Part sends part n (from 1, at most MaxParts), whose CRC-64/NVME is crc. All parts but the last are of one size of at least 5 MiB.
	// p is free again on return.
	Part(ctx context.Context, n int, p []byte, crc uint64) error
	// Commit makes the object visible, conditional on the key's absence, with d's whole-object checksum and these tags.
	// An object whose Commit failed may have the tags that it was begun with: see Writer.Tag.
	// ErrUnknown: Stat and compare. The Info is what the answer proves, as with Writer.Put.
	Commit(ctx context.Context, d digest.Digest, tags map[string]string) (Info, error)
	// Abort gives the upload up and frees what the store holds of it. Safe after a failed Commit.
	Abort(ctx context.Context) error
}

// Streamer is a Writer that can also take an object in one request while the object is still being read. That costs
// little memory and one request, where an upload in parts costs buffers and a request for each; but what breaks has to
// be read again from the start.
type Streamer interface {
	Writer
	// Stream begins to create key, conditional on its absence, from size bytes (1 to MaxStream) that come by Write. ctx
	// covers all of it.
	Stream(ctx context.Context, key string, size int64, o Options) (Stream, error)
}

// Stream is one object on its way in one request. Nothing is visible before Commit. It is not for concurrent use;
// Commit or Abort ends it.
type Stream interface {
	// Write sends the next bytes; p is free again on return. Once the store has answered that somebody's object may be
	// there, Write takes the rest without sending it, and Commit says ErrUnknown.
	io.Writer
	// Commit makes the object visible, with d's checksum and these tags, if exactly the announced size was written; as to
	// the tags, as Upload.Commit.
	// ErrUnknown: Stat and compare. The Info is what the answer proves, as with Writer.Put.
	Commit(ctx context.Context, d digest.Digest, tags map[string]string) (Info, error)
	// Abort gives the object up. Safe after a failed Commit.
	Abort(ctx context.Context) error
}

// MaxStream is the largest object in bytes that one request creates, of those that S3 takes.
const MaxStream = 5 << 30

// MaxParts is the largest part number that every store takes.
const MaxParts = 10_000

// Reader looks at one store, under an identity that cannot write.
// It is safe for concurrent use.
type Reader interface {
	// Stat describes the visible object, with its whole-object checksum where it has one. ErrNotExist.
	Stat(ctx context.Context, key string) (Info, error)
	// StatVersion describes one version, as a listing names it, as Stat does; Latest is not set. "": the visible one. A version
	// has a checksum only where the store computed it itself. ErrNotExist.
	StatVersion(ctx context.Context, key, version string) (Info, error)
	// List yields every version below prefix, ascending by key, newest version first; it stops at the first error.
	// Checksums are not listed (HasCRC64 is false). Delete markers are not yielded.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// ListRange yields, as List does, every version of every key above after and up to through; "" is no bound.
	ListRange(ctx context.Context, after, through string) iter.Seq2[Info, error]
	// Tags returns the tags of the visible object, none as an empty map. ErrNotExist.
	Tags(ctx context.Context, key string) (map[string]string, error)
	// Open reads n bytes of the visible object from off; n < 0: to the end. ErrNotExist.
	Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error)
	// Link returns an address from which anybody reads the visible object of key, for ttl, but at most MaxLink and at most
	// as long as the reader's own credentials live. It does not look whether the object is there. ErrCannotLink where the
	// reader's credentials are of a kind that cannot sign.
	Link(ctx context.Context, key string, ttl time.Duration) (Link, error)
	// Bucket returns the bucket's or container's name.
	Bucket() string
}
