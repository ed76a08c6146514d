package s3store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// Tries of what may be done twice without harm.
const (
	partTries = 2
	tagTries  = 3
)

// upload is a multipart upload. It is opened at once, because its ID has to be known to the next holder of the claim
// before the first part is sent.
type upload struct {
	store   *Store
	key, id string
	options objstore.Options

	mu    sync.Mutex
	parts map[int32]sent
}

// sent is a part that the server has.
type sent struct {
	types.CompletedPart
	size int64
}

// Create implements objstore.Writer.
func (s *Store) Create(ctx context.Context, key string, o objstore.Options) (objstore.Upload, error) {
	out, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.name, Key: &key, ContentType: optional(o.ContentType), Tagging: tagging(o.Tags),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumType: types.ChecksumTypeFullObject,
		ServerSideEncryption: s.config.sse(), SSEKMSKeyId: optional(s.config.KMSKeyID),
		ObjectLockMode: s.config.lockMode(), ObjectLockRetainUntilDate: s.config.lockedUntil(s.now()),
	})
	if err != nil {
		return nil, s.fail("open an upload of "+key, err)
	}
	return &upload{store: s, key: key, id: aws.ToString(out.UploadId), options: o, parts: map[int32]sent{}}, nil
}

// Abandon implements objstore.Writer.
func (s *Store) Abandon(ctx context.Context, key, uploadID string) error {
	if uploadID == "" {
		return nil
	}
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.name, Key: &key, UploadId: &uploadID})
	if a, ok := answered(err); ok && a.code == "NoSuchUpload" {
		return nil
	}
	if err != nil {
		return s.fail("abort an upload of "+key, err)
	}
	return nil
}

// ID implements objstore.Upload.
func (u *upload) ID() string { return u.id }

// Part implements objstore.Upload.
func (u *upload) Part(ctx context.Context, n int, p []byte, crc uint64) error {
	op := fmt.Sprintf("send part %d of %s", n, u.key)
	if n < 1 || n > objstore.MaxParts {
		return objstore.Refuse(fault.Permanent, op, "parts are numbered from 1 to %d", objstore.MaxParts)
	}
	checksum := digest.EncodeCRC64(crc)
	out, err := u.send(ctx, int32(n), p, checksum)
	if err != nil {
		return u.store.fail(op, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts[int32(n)] = sent{types.CompletedPart{PartNumber: aws.Int32(int32(n)), ETag: out.ETag, ChecksumCRC64NVME: &checksum}, int64(len(p))}
	return nil
}

// send sends a part, and once more when there was no answer: a connection that the server closed while it lay idle must
// not cost a large recording.
func (u *upload) send(ctx context.Context, n int32, p []byte, checksum string) (out *s3.UploadPartOutput, err error) {
	for range partTries {
		out, err = u.store.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &u.store.name, Key: &u.key, UploadId: &u.id, PartNumber: &n, Body: bytes.NewReader(p),
			ContentLength: aws.Int64(int64(len(p))), ChecksumCRC64NVME: &checksum,
		}, unsigned)
		if _, answer := answered(err); err == nil || answer || ctx.Err() != nil || objstore.NeverSent(err) {
			break
		}
	}
	return out, err
}

// Commit implements objstore.Upload. The server computes the whole object's checksum from its parts', refuses the commit
// if it is not d's, and names it in its answer.
func (u *upload) Commit(ctx context.Context, d digest.Digest, tags map[string]string) (objstore.Info, error) {
	op := "commit " + u.key
	if err := ctx.Err(); err != nil {
		return objstore.Info{}, u.store.fail(op, err)
	}
	parts, err := u.complete(op, d.Size)
	if err != nil {
		return objstore.Info{}, err
	}
	out, err := u.store.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &u.store.name, Key: &u.key, UploadId: &u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		IfNoneMatch: aws.String("*"), MpuObjectSize: aws.Int64(d.Size),
		ChecksumCRC64NVME: aws.String(digest.EncodeCRC64(d.CRC64)), ChecksumType: types.ChecksumTypeFullObject,
	})
	if err != nil {
		return objstore.Info{}, u.store.unsure(op, err)
	}
	info := proven(objstore.Info{
		Key: u.key, Size: d.Size, ETag: unquote(out.ETag), VersionID: aws.ToString(out.VersionId), ContentType: u.options.ContentType, Latest: true,
	}, out.ChecksumCRC64NVME)
	return info, u.store.retag(ctx, u.key, u.options.Tags, tags)
}

// complete returns the parts in order, having checked that none is missing.
func (u *upload) complete(op string, size int64) ([]types.CompletedPart, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	numbers := slices.Sorted(maps.Keys(u.parts))
	if len(numbers) == 0 {
		return nil, objstore.Refuse(fault.Permanent, op, "no part was sent")
	}
	var have int64
	parts := make([]types.CompletedPart, len(numbers))
	for i, n := range numbers {
		if int(n) != i+1 {
			return nil, objstore.Refuse(fault.Permanent, op, "part %d was never sent", i+1)
		}
		parts[i], have = u.parts[n].CompletedPart, have+u.parts[n].size
	}
	if have != size {
		return nil, objstore.Refuse(fault.Corrupt, op, "the digest is of %d bytes, the parts have %d", size, have)
	}
	return parts, nil
}

// retag sets the tags of the object just created where they are not those that it was begun with: S3 takes no tags with
// the commit. The object stays, whatever comes of it. No version is named: that would need a further permission,
// and the key can have no other version while nobody deletes or overwrites.
func (s *Store) retag(ctx context.Context, key string, have, tags map[string]string) error {
	if maps.Equal(tags, have) {
		return nil
	}
	return s.Tag(ctx, key, tags)
}

// Tag implements objstore.Writer.
func (s *Store) Tag(ctx context.Context, key string, tags map[string]string) (err error) {
	set := make([]types.Tag, 0, len(tags))
	for name, value := range tags {
		set = append(set, types.Tag{Key: aws.String(name), Value: aws.String(value)})
	}
	slices.SortFunc(set, func(a, b types.Tag) int { return cmp.Compare(*a.Key, *b.Key) })
	for range tagTries {
		_, err = s.client.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{
			Bucket: &s.name, Key: &key, Tagging: &types.Tagging{TagSet: set},
		})
		if err == nil {
			return nil
		}
		if a, answer := answered(err); ctx.Err() != nil || answer && a.class() != fault.Transient && a.class() != fault.Unavailable {
			break // who asked us to slow down, or denies us, is not asked again
		}
	}
	return s.fail("tag "+key, err)
}

// Abort implements objstore.Upload.
func (u *upload) Abort(ctx context.Context) error { return u.store.Abandon(ctx, u.key, u.id) }
