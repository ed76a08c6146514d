// Package outside is the independent reader: it looks into both stores from the outside, with a reader's credentials
// and the clouds' plain clients, and holds every byte it finds against what the platform knows to be true.
//
// It shares no code with Twinreel's stores, events or digests on purpose: what CONTRACT says of objects, sidecars and
// tags is written down here a second time. What it finds wrong it returns as data. Bodies are streamed, so memory does
// not grow with their size; it grows with the number of objects.
package outside

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Store is one cloud's store, read by its plain client.
type Store interface {
	// Name is the tier's: primary or backup.
	Name() string
	// List returns every version of every object, delete markers and unfinished uploads.
	List(ctx context.Context) ([]Entry, error)
	// Open returns what the store says of one version, and its body.
	Open(ctx context.Context, e Entry) (Object, io.ReadCloser, error)
}

// Entry is one line of a store's listing.
type Entry struct {
	Key, Version string
	Size         int64
	// What is out of the ordinary about it: "" for an object's version, or what is in its place.
	What string
}

// Object is what a store says of one version of an object.
type Object struct {
	Size        int64
	ContentType string
	Tags        map[string]string
	// CRC64 is the whole object's CRC-64/NVME, base64, as the store keeps it; empty where it keeps none.
	CRC64 string
}

// What may be in a listing besides versions of objects.
const (
	DeleteMarker = "delete marker"
	Snapshot     = "snapshot"
	Upload       = "unfinished upload"
)

// Finding is one thing that is not as it should be.
type Finding struct {
	// Store is a tier's name, or "both" for what does not agree between them.
	Store string
	Key   string
	// Kind is one of the constants below.
	Kind   string
	Detail string
}

// String is the finding on one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s %s %s: %s", f.Kind, f.Store, f.Key, f.Detail)
}

// The kinds of findings.
const (
	Missing   = "missing"   // an object that must be there is not
	Unwanted  = "unwanted"  // an object, or something else, that must not be there
	Versions  = "versions"  // more than one version of a key
	TwoKeys   = "two_keys"  // one recording under two formats
	Different = "different" // bytes, size or checksum are not the source's
	Metadata  = "metadata"  // a sidecar does not say what is true
	Tags      = "tags"      // object tags are not those of the contract
	Unequal   = "unequal"   // the two stores do not hold the same
	// OpenUpload is a multipart upload that nobody finished or aborted: it costs storage until the bucket's lifecycle
	// rule gets it, and is visible to nobody.
	OpenUpload = "open_upload"
)

// Copies sums up one store's sound copies.
type Copies struct {
	Recordings int
	Bytes      int64
}

// Report is what the reader found.
type Report struct {
	// Copies by store name: recordings whose media and sidecar are both as they should be.
	Copies map[string]Copies
	// Expected is how many recordings had to be in each store.
	Expected int
	Findings []Finding
}

// Sound tells whether nothing is wrong.
func (r Report) Sound() bool { return len(r.Findings) == 0 }

// String lists the findings, one a line.
func (r Report) String() string {
	lines := make([]string, 0, len(r.Findings))
	for _, f := range r.Findings {
		lines = append(lines, f.String())
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
