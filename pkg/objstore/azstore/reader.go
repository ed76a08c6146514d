package azstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// List implements objstore.Reader.
func (r *Reader) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return r.list("list "+prefix, r.items(ctx, "list "+prefix, container.ListBlobsFlatOptions{Prefix: &prefix}))
}

// ListRange implements objstore.Reader. A service that does not know of ranges begins at its first blob: what is below is
// read and left out.
func (r *Reader) ListRange(ctx context.Context, after, through string) iter.Seq2[objstore.Info, error] {
	op := fmt.Sprintf("list from %q to %q", after, through)
	var o container.ListBlobsFlatOptions
	if after != "" {
		o.StartFrom = &after
	}
	return r.list(op, func(yield func(objstore.Info, error) bool) {
		for info, err := range r.items(ctx, op, o) {
			if err == nil && through != "" && info.Key > through {
				return
			}
			if (err != nil || info.Key > after) && !yield(info, err) {
				return
			}
		}
	})
}

// list puts what the service sends into the order of objstore.Reader. The service lists a blob's versions oldest first, so
// they are turned round; only one blob's versions are held at a time. A listing that is out of order is an error: what it
// left out must not look missing.
func (r *Reader) list(op string, items iter.Seq2[objstore.Info, error]) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		var group []objstore.Info
		flush := func() bool {
			for _, info := range slices.Backward(group) {
				if !yield(info, nil) {
					return false
				}
			}
			group = group[:0]
			return true
		}
		for info, err := range items {
			if err != nil {
				yield(objstore.Info{}, err)
				return
			}
			if len(group) > 0 && info.Key < group[0].Key {
				yield(objstore.Info{}, objstore.Refuse(fault.Transient, op, "the listing is out of order"))
				return
			}
			if len(group) > 0 && info.Key != group[0].Key && !flush() {
				return
			}
			group = append(group, info)
		}
		flush()
	}
}

// items yields the listing's items as the service sends them.
func (r *Reader) items(ctx context.Context, op string, o container.ListBlobsFlatOptions) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		o.Include = container.ListBlobsInclude{Versions: true}
		pages := r.client.NewListBlobsFlatPager(&o)
		for pages.More() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(objstore.Info{}, r.fail(op, err))
				return
			}
			if page.Segment == nil {
				yield(objstore.Info{}, objstore.Refuse(fault.Transient, op, "the listing breaks off"))
				return
			}
			for _, item := range page.Segment.BlobItems {
				if !yield(listed(item), nil) {
					return
				}
			}
		}
	}
}

func listed(b *container.BlobItem) objstore.Info {
	i := objstore.Info{Key: value(b.Name), VersionID: value(b.VersionID), Latest: b.VersionID == nil || value(b.IsCurrentVersion)}
	if p := b.Properties; p != nil {
		i.Size, i.ETag, i.ContentType, i.Modified = value(p.ContentLength), unquote(p.ETag), value(p.ContentType), value(p.LastModified)
	}
	return i
}

// StatVersion implements objstore.Reader.
func (r *Reader) StatVersion(ctx context.Context, key, version string) (objstore.Info, error) {
	at := r.client.NewBlobClient(key)
	if version != "" {
		var err error
		if at, err = at.WithVersionID(version); err != nil {
			return objstore.Info{}, objstore.Refuse(fault.Permanent, "stat a version of "+key, "its version has no usable name")
		}
	}
	info, err := r.stat(ctx, at, key)
	if version != "" { // the checksum is metadata, which whoever wrote over the blob may have copied
		info.CRC64, info.HasCRC64 = 0, false
	}
	return info, err
}

// Tags implements objstore.Reader.
func (r *Reader) Tags(ctx context.Context, key string) (map[string]string, error) {
	op := "read the tags of " + key
	answer, err := r.client.NewBlobClient(key).GetTags(ctx, nil)
	switch {
	case absent(err):
		return nil, objstore.NotExist(op)
	case err != nil:
		return nil, r.fail(op, err)
	}
	out := make(map[string]string, len(answer.BlobTagSet))
	for _, tag := range answer.BlobTagSet {
		out[value(tag.Key)] = value(tag.Value)
	}
	return out, nil
}

// Open implements objstore.Reader.
func (r *Reader) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	switch {
	case off < 0:
		return nil, objstore.Refuse(fault.Permanent, "open "+key, "negative offset")
	case n == 0:
		if _, err := r.Stat(ctx, key); err != nil {
			return nil, err
		}
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	return r.get(ctx, key, blob.HTTPRange{Offset: off, Count: max(n, blob.CountToEnd)})
}

// get opens a blob, or a range of it. A range past the end is empty.
func (s *account) get(ctx context.Context, key string, span blob.HTTPRange) (io.ReadCloser, error) {
	op := "open " + key
	out, err := s.client.NewBlobClient(key).DownloadStream(ctx, &blob.DownloadStreamOptions{Range: span})
	a, refusal := answered(err)
	switch {
	case err == nil:
		return &body{out.Body, s, "read " + key}, nil
	case absent(err):
		return nil, objstore.NotExist(op)
	case refusal && a.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	return nil, s.fail(op, err)
}

// body is a blob on its way here, whose errors are faults.
type body struct {
	io.ReadCloser
	account *account
	op      string
}

// Read implements io.Reader.
func (r *body) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.account.fail(r.op, err)
	}
	return n, err
}
