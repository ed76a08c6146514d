package outside

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/minio/crc64nvme"
)

// maxSidecar bounds what is read of a metadata object.
const maxSidecar = 1 << 20

// Reader compares stores with the truth.
type Reader struct {
	// Stores are the two stores.
	Stores []Store
	// Dates says that one webhook may have come to two regions, each of which dates its sidecar: the stores' may differ in
	// receivedAt, and in nothing else.
	Dates bool
	// Parallel is how many recordings are read at once, at least 1.
	Parallel int
	// Read, if set, is told of bytes as they are read, from several goroutines.
	Read func(n int64)
}

// Compare reads all of both stores and reports what is not as it should be. Its error is about the reading alone.
func (r Reader) Compare(ctx context.Context, truth []Truth) (Report, error) {
	c := &comparison{reader: r, truth: truth, report: Report{Copies: make(map[string]Copies)}}
	for _, s := range r.Stores {
		entries, err := s.List(ctx)
		if err != nil {
			return Report{}, err
		}
		c.listings = append(c.listings, c.index(s, entries))
	}
	err := c.each(ctx)
	for i, s := range r.Stores {
		c.unwanted(s.Name(), c.listings[i])
	}
	return c.report, err
}

// comparison is a Compare under way.
type comparison struct {
	reader   Reader
	truth    []Truth
	listings []map[string]Entry // by key, one map for each store

	mu     sync.Mutex
	report Report
}

func (c *comparison) find(store, key, kind, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Findings = append(c.report.Findings, Finding{Store: store, Key: key, Kind: kind, Detail: fmt.Sprintf(format, args...)})
}

// sealedLog is where the audit log lies, which is proven by its own means.
const sealedLog = "audit/"

// index turns a listing into a map, and reports all that no sound store has.
func (c *comparison) index(s Store, entries []Entry) map[string]Entry {
	byKey := make(map[string]Entry)
	for _, e := range entries {
		if strings.HasPrefix(e.Key, sealedLog) {
			continue
		}
		switch e.What {
		case "":
		case Upload:
			c.find(s.Name(), e.Key, OpenUpload, "upload %.12s…", e.Version)
			continue
		default:
			c.find(s.Name(), e.Key, Unwanted, "%s", e.What)
			continue
		}
		if other, twice := byKey[e.Key]; twice {
			c.find(s.Name(), e.Key, Versions, "versions %q and %q", other.Version, e.Version)
			continue
		}
		byKey[e.Key] = e
	}
	return byKey
}

// each compares every recording, some at a time. The first error of reading ends it.
func (c *comparison) each(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, max(1, c.reader.Parallel))
	var wg sync.WaitGroup
	for _, t := range c.truth {
		if t.Must {
			c.report.Expected++
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := c.recording(ctx, t); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// recording compares one recording in all stores.
func (c *comparison) recording(ctx context.Context, t Truth) error {
	var found []copyOf
	for i, s := range c.reader.Stores {
		f, there, err := c.inStore(ctx, s, c.listings[i], t)
		if err != nil {
			return err
		}
		if there {
			found = append(found, f)
		}
	}
	for _, f := range found[min(1, len(found)):] {
		if f.sidecar != nil && found[0].sidecar != nil && !bytes.Equal(c.dated(f.sidecar), c.dated(found[0].sidecar)) {
			c.find("both", t.sidecarKey(), Unequal, "%d and %d bytes", len(found[0].sidecar), len(f.sidecar))
		}
		if f.media.key != found[0].media.key || f.media.sha256 != found[0].media.sha256 {
			c.find("both", t.Key, Unequal, "media %s %s and %s %s", found[0].media.key, found[0].media.sha256, f.media.key, f.media.sha256)
		}
	}
	return nil
}

// copyOf is a recording as one store has it.
type copyOf struct {
	media   media
	sidecar []byte
}

// inStore compares one recording in one store. Where it may be absent and is, there is false.
func (c *comparison) inStore(ctx context.Context, s Store, listing map[string]Entry, t Truth) (found copyOf, there bool, err error) {
	var keys []string
	for _, key := range t.mediaKeys() {
		if _, ok := listing[key]; ok {
			keys = append(keys, key)
		}
	}
	side, hasSide := listing[t.sidecarKey()]
	switch {
	case !t.May || (!t.Must && len(keys) == 0 && !hasSide):
		return copyOf{}, false, nil // what is there all the same is reported as unwanted
	case len(keys) == 0:
		c.find(s.Name(), t.Key, Missing, "no media; the sidecar is there: %t", hasSide)
		return copyOf{}, false, nil
	case len(keys) > 1:
		c.find(s.Name(), t.Key, TwoKeys, "%s", strings.Join(keys, " "))
	}
	if !hasSide {
		c.find(s.Name(), t.sidecarKey(), Missing, "no sidecar beside %s", keys[0])
		return copyOf{}, false, nil
	}
	if found.media, err = c.readMedia(ctx, s, listing[keys[0]]); err != nil {
		return copyOf{}, false, err
	}
	if found.sidecar, err = c.readSidecar(ctx, s, side); err != nil {
		return copyOf{}, false, err
	}
	wrong := judge(s.Name(), t, found)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Findings = append(c.report.Findings, wrong...)
	if len(wrong) == 0 {
		n := c.report.Copies[s.Name()]
		n.Recordings++
		n.Bytes += found.media.object.Size
		c.report.Copies[s.Name()] = n
	}
	return found, true, nil
}

// readMedia reads the media once, through both hashes.
func (c *comparison) readMedia(ctx context.Context, s Store, e Entry) (media, error) {
	object, body, err := s.Open(ctx, e)
	if err != nil {
		return media{}, err
	}
	defer body.Close()
	sha, crc, told := sha256.New(), crc64nvme.New(), teller{c.reader.Read}
	n, err := io.CopyBuffer(io.MultiWriter(sha, crc, told), body, make([]byte, 256<<10))
	if err != nil {
		return media{}, fmt.Errorf("read %s of %s: %w", e.Key, s.Name(), err)
	}
	object.Size = n
	return media{
		key: e.Key, object: object, sha256: hex.EncodeToString(sha.Sum(nil)), crc64: base64.StdEncoding.EncodeToString(crc.Sum(nil)),
	}, nil
}

// dated is a sidecar, without its date where that may differ.
func (c *comparison) dated(b []byte) []byte {
	var fields map[string]json.RawMessage
	if !c.reader.Dates || json.Unmarshal(b, &fields) != nil {
		return b
	}
	delete(fields, "receivedAt")
	out, err := json.Marshal(fields)
	if err != nil {
		return b
	}
	return out
}

// readSidecar reads a metadata object whole.
func (c *comparison) readSidecar(ctx context.Context, s Store, e Entry) ([]byte, error) {
	object, body, err := s.Open(ctx, e)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, maxSidecar))
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", e.Key, s.Name(), err)
	}
	if object.ContentType != "application/json" {
		c.find(s.Name(), e.Key, Metadata, "content type %q, want application/json", object.ContentType)
	}
	return b, nil
}

// unwanted reports every object that no recording accounts for.
func (c *comparison) unwanted(store string, listing map[string]Entry) {
	known := make(map[string]bool)
	for _, t := range c.truth {
		if !t.May {
			continue
		}
		known[t.sidecarKey()] = true
		for _, key := range t.mediaKeys() {
			known[key] = true
		}
	}
	for key, e := range listing {
		if !known[key] {
			c.find(store, key, Unwanted, "%d bytes that no recording accounts for", e.Size)
		}
	}
}

// teller is a writer that tells how much went through it.
type teller struct{ tell func(int64) }

// Write implements io.Writer.
func (t teller) Write(p []byte) (int, error) {
	if t.tell != nil {
		t.tell(int64(len(p)))
	}
	return len(p), nil
}
