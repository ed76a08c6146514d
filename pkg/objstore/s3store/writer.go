package s3store

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// Put implements objstore.Writer by one conditional PUT. The answer names the checksum that the server computed.
func (s *Store) Put(ctx context.Context, key string, body []byte, d digest.Digest, o objstore.Options) (objstore.Info, error) {
	op := "put " + key
	if err := ctx.Err(); err != nil {
		return objstore.Info{}, s.fail(op, err)
	}
	if int64(len(body)) != d.Size {
		return objstore.Info{}, objstore.Refuse(fault.Corrupt, op, "the digest is of %d bytes, the body has %d", d.Size, len(body))
	}
	in := &s3.PutObjectInput{
		Bucket: &s.name, Key: &key, Body: bytes.NewReader(body), ContentLength: aws.Int64(d.Size),
		ContentType: optional(o.ContentType), Tagging: tagging(o.Tags), IfNoneMatch: aws.String("*"),
		ChecksumCRC64NVME:    aws.String(digest.EncodeCRC64(d.CRC64)),
		ServerSideEncryption: s.config.sse(), SSEKMSKeyId: optional(s.config.KMSKeyID),
		ObjectLockMode: s.config.lockMode(), ObjectLockRetainUntilDate: s.config.lockedUntil(s.now()),
	}
	out, err := s.client.PutObject(ctx, in, unsigned)
	if err != nil {
		return objstore.Info{}, s.unsure(op, err)
	}
	return proven(objstore.Info{
		Key: key, Size: d.Size, ETag: unquote(out.ETag), VersionID: aws.ToString(out.VersionId), ContentType: o.ContentType, Latest: true,
	}, out.ChecksumCRC64NVME), nil
}

// ReadSidecar implements objstore.Writer.
func (s *Store) ReadSidecar(ctx context.Context, key string) ([]byte, error) {
	op := "read " + key
	if !strings.HasPrefix(key, objstore.SidecarPrefix) {
		return nil, objstore.Refuse(fault.Permanent, op, "a writer reads below %s only", objstore.SidecarPrefix)
	}
	body, err := s.get(ctx, key, "")
	if err != nil {
		return nil, err
	}
	b, err := objstore.ReadSmall(body)
	_ = body.Close() // all that is wanted is read
	if errors.Is(err, objstore.ErrTooLong) {
		return nil, fault.New(fault.Corrupt, fault.Store, op, err)
	}
	return b, err
}

// Stat describes the visible object, with its checksum. A HEAD says 404 for a missing bucket too, so that is looked into
// before anything is called absent.
func (b *bucket) Stat(ctx context.Context, key string) (objstore.Info, error) {
	info, err := b.stat(ctx, key, "")
	info.Latest = err == nil
	return info, err
}

// stat describes one version of an object, "": the visible one.
func (b *bucket) stat(ctx context.Context, key, version string) (objstore.Info, error) {
	op := "stat " + key
	out, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: &key, VersionId: optional(version), ChecksumMode: types.ChecksumModeEnabled})
	switch {
	case err != nil && absent(err):
		return objstore.Info{}, b.absence(ctx, op)
	case err != nil:
		return objstore.Info{}, b.fail(op, err)
	}
	info := objstore.Info{
		Key: key, Size: aws.ToInt64(out.ContentLength), ETag: unquote(out.ETag), VersionID: aws.ToString(out.VersionId),
		ContentType: aws.ToString(out.ContentType), Modified: aws.ToTime(out.LastModified),
	}
	if out.ChecksumType == types.ChecksumTypeComposite {
		return info, nil // a checksum of checksums says nothing about the whole
	}
	return proven(info, out.ChecksumCRC64NVME), nil
}

// absence returns ErrNotExist if the bucket is there, else what is the matter with it.
func (b *bucket) absence(ctx context.Context, op string) error {
	_, err := b.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name})
	switch {
	case err == nil:
		return objstore.NotExist(op)
	case absent(err):
		return objstore.Refuse(fault.Denied, op, "there is no bucket %s; create it, or correct TWINREEL_S3_BUCKET", b.name)
	}
	return b.fail(op+": look for the bucket", err)
}

// proven adds the checksum that the server computed, if it named one.
func proven(i objstore.Info, checksum *string) objstore.Info {
	if crc, err := digest.DecodeCRC64(aws.ToString(checksum)); err == nil {
		i.CRC64, i.HasCRC64 = crc, true
	}
	return i
}

func (c Config) sse() types.ServerSideEncryption {
	if c.SSE == noSSE {
		return ""
	}
	return types.ServerSideEncryption(c.SSE)
}

func (c Config) lockMode() types.ObjectLockMode { return types.ObjectLockMode(c.ObjectLockMode) }

func (c Config) lockedUntil(now time.Time) *time.Time {
	if c.ObjectLockMode == "" {
		return nil
	}
	return aws.Time(now.UTC().AddDate(0, 0, c.ObjectLockDays))
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func unquote(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

// tagging returns tags as the header x-amz-tagging wants them: a query string.
func tagging(tags map[string]string) *string {
	v := url.Values{}
	for name, value := range tags {
		v.Set(name, value)
	}
	return optional(v.Encode())
}
