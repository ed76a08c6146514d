package sink

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
)

// checksumHeader is where S3 names an object's checksum, in requests, trailers and answers.
const checksumHeader = "X-Amz-Checksum-Crc64nvme"

// S3 is the sink that speaks S3.
type S3 struct {
	store
	uploads atomic.Int64
}

// NewS3 makes one.
func NewS3() *S3 { return &S3{store: newStore("s3")} }

// ServeHTTP implements http.Handler.
func (s *S3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		s.begin(w, r)
	case r.Method == http.MethodPost && q.Has("uploadId"):
		s.complete(w, r)
	case r.Method == http.MethodPut && q.Has("tagging"):
		s.count(r, "tag")
		s.swallow(r.Body)
	case r.Method == http.MethodPut && q.Has("partNumber"):
		s.count(r, "part")
		s.take(w, r)
	case r.Method == http.MethodPut:
		s.put(w, r)
	case r.Method == http.MethodDelete:
		s.count(r, "abort")
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodHead && strings.Count(strings.Trim(r.URL.Path, "/"), "/") == 0:
		s.count(r, "head bucket")
	default:
		s.count(r, strings.ToLower(r.Method))
		refuse(w, http.StatusNotFound, "NoSuchKey")
	}
}

// take swallows a body and answers with the checksum that came with it, before or after it.
func (s *S3) take(w http.ResponseWriter, r *http.Request) {
	last := s.swallow(r.Body)
	sum := r.Header.Get(checksumHeader)
	if _, trailer, ok := strings.Cut(last, strings.ToLower(checksumHeader)+":"); ok {
		sum = strings.TrimSpace(trailer)
	}
	w.Header().Set("ETag", `"forgotten"`)
	w.Header().Set(checksumHeader, sum)
	w.Header().Set("X-Amz-Checksum-Type", "FULL_OBJECT")
}

func (s *S3) put(w http.ResponseWriter, r *http.Request) {
	s.count(r, "put")
	s.take(w, r)
	if !s.create(r.URL.Path) {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
	}
}

func (s *S3) begin(w http.ResponseWriter, r *http.Request) {
	s.count(r, "begin")
	s.swallow(r.Body)
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>upload-%d</UploadId></InitiateMultipartUploadResult>", s.uploads.Add(1))
}

func (s *S3) complete(w http.ResponseWriter, r *http.Request) {
	s.count(r, "complete")
	s.swallow(r.Body)
	if !s.create(r.URL.Path) {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName           xml.Name `xml:"CompleteMultipartUploadResult"`
		ETag              string
		ChecksumCRC64NVME string
	}{ETag: `"forgotten"`, ChecksumCRC64NVME: r.Header.Get(checksumHeader)})
}
