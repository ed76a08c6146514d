// Package floor is the leanest program that does the unavoidable work of a tier's worker: fetch each recording once, hash
// it in one pass, create the object on condition that it is not there. There is no queue, no database, no agreement, no
// sidecar, and nothing is tried again. It is what the product is measured against.
package floor

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync"

	"github.com/minio/crc64nvme"
)

// Concurrency is how many recordings are on their way at once, as in a worker by default.
const Concurrency = 16

// piece is how many bytes are read, hashed and sent at a time.
const piece = 256 << 10

// Job is what one tier's floor does. It is JSON on the way to its process.
type Job struct {
	Tier  string // primary or backup
	Links []string
	Size  int64 // of each recording
	// Objects is the URL below which objects are created: a bucket's or a container's.
	Objects string
	// S3 signs with these.
	Region, AccessKey, SecretKey string
	// SAS is Azure's signature, a query.
	SAS string
	// Prefix begins the objects' names.
	Prefix string
}

// floor is a job at work.
type floor struct {
	Job
	client *http.Client
	small  sync.Pool // pieces
	large  sync.Pool // blocks
}

// Run does the job.
func Run(ctx context.Context, job Job) error {
	f := &floor{
		Job:    job,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4 * Concurrency, DisableCompression: true, WriteBufferSize: 64 << 10}},
		small:  sync.Pool{New: func() any { return new([piece]byte) }},
		large:  sync.Pool{New: func() any { return new([block]byte) }},
	}
	store := f.s3
	if job.Tier == "backup" {
		store = f.azure
	}
	work, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	links := make(chan int)
	var all sync.WaitGroup
	for range Concurrency {
		all.Go(func() {
			for n := range links {
				if err := f.copy(work, n, store); err != nil {
					fail(err)
				}
			}
		})
	}
	for n := range job.Links {
		links <- n
	}
	close(links)
	all.Wait()
	return context.Cause(work)
}

// copy moves one recording.
func (f *floor) copy(ctx context.Context, n int, store func(context.Context, string, *media) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.Links[n], nil)
	if err != nil {
		return err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ContentLength != f.Size {
		return fmt.Errorf("the source answered %s with %d bytes, want %d", resp.Status, resp.ContentLength, f.Size)
	}
	return store(ctx, fmt.Sprintf("%s%d.wav", f.Prefix, n), &media{body: resp.Body, sha: sha256.New()})
}

// media is a recording that is hashed as it is read.
type media struct {
	body io.Reader
	sha  hash.Hash
	crc  uint64
}

// read fills p as far as there is something, by pieces, and hashes it.
func (m *media) read(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var got int
		got, err = io.ReadFull(m.body, p[n:min(len(p), n+piece)])
		m.sha.Write(p[n : n+got])
		m.crc = crc64nvme.Update(m.crc, p[n:n+got])
		n += got
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// send does one request and checks that it was taken.
func (f *floor) send(req *http.Request) error {
	resp, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: answered %s: %.300s", req.Method, req.URL.Path, resp.Status, answer)
	}
	return nil
}

// bigEndian is a checksum as S3 and the blob's metadata have it, littleEndian as Azure's header does.
func bigEndian(crc uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc))
}

func littleEndian(crc uint64) string {
	return base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, crc))
}
