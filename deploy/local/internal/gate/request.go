package gate

import (
	"net/http"
	"strings"
)

// Kind is what a request to a store is for, the same words for both clouds.
type Kind string

// The kinds of requests that Twinreel's workers send.
const (
	Begin    Kind = "begin"    // a multipart upload is opened (S3 only)
	Part     Kind = "part"     // a part, or a block
	Complete Kind = "complete" // the parts become an object: CompleteMultipartUpload, or Put Block List
	Put      Kind = "put"      // media in one request
	Sidecar  Kind = "sidecar"  // the metadata beside them
	Tag      Kind = "tag"
	Abort    Kind = "abort"
	Probe    Kind = "probe" // anything that concerns the probe object
	Look     Kind = "look"  // HEAD, GET
)

// Commits are the kinds by which media become visible.
func Commits() []Kind { return []Kind{Complete, Put} }

// kindOf tells what a request is for, by its method, query and key.
func kindOf(r *http.Request) Kind {
	q := r.URL.Query()
	comp := q.Get("comp")
	switch {
	case strings.Contains(r.URL.Path, "/probe/"):
		return Probe
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		return Look
	case r.Method == http.MethodDelete:
		return Abort
	case q.Has("tagging"), comp == "tags":
		return Tag
	case q.Has("uploads"):
		return Begin
	case q.Has("partNumber"), comp == "block":
		return Part
	case q.Has("uploadId"), comp == "blocklist":
		return Complete
	case strings.Contains(r.URL.Path, "/metadata/"):
		return Sidecar
	}
	return Put
}
