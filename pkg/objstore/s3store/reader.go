package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// List implements objstore.Reader.
func (r *Reader) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return r.list(ctx, "list "+prefix, &s3.ListObjectVersionsInput{Prefix: optional(prefix)})
}

// ListRange implements objstore.Reader. Some servers begin with the marker's key itself.
func (r *Reader) ListRange(ctx context.Context, after, through string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		op := fmt.Sprintf("list from %q to %q", after, through)
		for info, err := range r.list(ctx, op, &s3.ListObjectVersionsInput{KeyMarker: optional(after)}) {
			if err == nil && through != "" && info.Key > through {
				return
			}
			if (err != nil || info.Key > after) && !yield(info, err) {
				return
			}
		}
	}
}

// list lists by ListObjectVersions. A listing that is out of order, or says that it goes on without saying where, is an
// error: what it left out must not look missing.
func (r *Reader) list(ctx context.Context, op string, in *s3.ListObjectVersionsInput) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		in, last, version := *in, aws.ToString(in.KeyMarker), "" // a listing may be begun more than once
		in.Bucket = &r.name
		for {
			page, err := r.client.ListObjectVersions(ctx, &in)
			if err != nil {
				yield(objstore.Info{}, r.fail(op, err))
				return
			}
			for _, v := range page.Versions {
				key := aws.ToString(v.Key)
				if key < last {
					yield(objstore.Info{}, objstore.Refuse(fault.Transient, op, "the listing is out of order"))
					return
				}
				if key == last && version != "" && version == aws.ToString(v.VersionId) {
					continue // versitygw begins a page with the version that ended the last
				}
				last, version = key, aws.ToString(v.VersionId)
				if !yield(objstore.Info{
					Key: key, Size: aws.ToInt64(v.Size), ETag: unquote(v.ETag), VersionID: aws.ToString(v.VersionId),
					Modified: aws.ToTime(v.LastModified), Latest: aws.ToBool(v.IsLatest),
				}, nil) {
					return
				}
			}
			if !aws.ToBool(page.IsTruncated) {
				return
			}
			if aws.ToString(page.NextKeyMarker) <= aws.ToString(in.KeyMarker) && aws.ToString(page.NextVersionIdMarker) == aws.ToString(in.VersionIdMarker) {
				yield(objstore.Info{}, objstore.Refuse(fault.Transient, op, "the listing breaks off"))
				return
			}
			in.KeyMarker, in.VersionIdMarker = page.NextKeyMarker, page.NextVersionIdMarker
		}
	}
}

// StatVersion implements objstore.Reader.
func (r *Reader) StatVersion(ctx context.Context, key, version string) (objstore.Info, error) {
	return r.stat(ctx, key, version)
}

// Tags implements objstore.Reader.
func (r *Reader) Tags(ctx context.Context, key string) (map[string]string, error) {
	op := "read the tags of " + key
	answer, err := r.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &r.name, Key: &key})
	switch {
	case absent(err):
		return nil, objstore.NotExist(op)
	case untagged(err):
		return map[string]string{}, nil
	case err != nil:
		return nil, r.fail(op, err)
	}
	out := make(map[string]string, len(answer.TagSet))
	for _, tag := range answer.TagSet {
		out[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
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
	case n > 0:
		return r.get(ctx, key, fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	case off > 0:
		return r.get(ctx, key, fmt.Sprintf("bytes=%d-", off))
	}
	return r.get(ctx, key, "")
}

// get opens an object, or a range of it. A range past the end is empty.
func (b *bucket) get(ctx context.Context, key, span string) (io.ReadCloser, error) {
	op := "open " + key
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key, Range: optional(span)})
	a, _ := answered(err)
	switch {
	case err == nil:
		return &body{out.Body, b, "read " + key}, nil
	case absent(err):
		return nil, objstore.NotExist(op)
	case a.status == http.StatusRequestedRangeNotSatisfiable:
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	return nil, b.fail(op, err)
}

// body is an object on its way here, whose errors are faults.
type body struct {
	io.ReadCloser
	bucket *bucket
	op     string
}

// Read implements io.Reader.
func (r *body) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.bucket.fail(r.op, err)
	}
	return n, err
}
