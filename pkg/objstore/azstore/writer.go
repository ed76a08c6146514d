package azstore

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// checksumName is the blob's metadata in which its CRC-64/NVME is kept.
const checksumName = "crc64nvme"

// Put implements objstore.Writer by one conditional Put Blob. It carries the body's CRC-64/NVME, and the service takes the
// blob only if it has computed the same: so the answer proves the bytes.
func (s *Store) Put(ctx context.Context, key string, body []byte, d digest.Digest, o objstore.Options) (objstore.Info, error) {
	op := "put " + key
	if err := ctx.Err(); err != nil {
		return objstore.Info{}, s.fail(op, err)
	}
	if int64(len(body)) != d.Size {
		return objstore.Info{}, objstore.Refuse(fault.Corrupt, op, "the digest is of %d bytes, the body has %d", d.Size, len(body))
	}
	until, mode := s.config.immutable(s.now())
	out, err := s.client.NewBlockBlobClient(key).Upload(ctx, streaming.NopCloser(bytes.NewReader(body)), &blockblob.UploadOptions{
		TransactionalValidation: blob.TransferValidationTypeCRC64(d.CRC64),
		AccessConditions:        absentOnly(),
		Tags:                    o.Tags, Metadata: metadata(d), HTTPHeaders: headers(o.ContentType),
		Tier: s.config.tier(), CPKScopeInfo: s.config.scope(),
		ImmutabilityPolicyExpiryTime: until, ImmutabilityPolicyMode: mode,
	})
	if err != nil {
		return objstore.Info{}, s.unsure(op, err)
	}
	return created(key, d, o.ContentType, out.ETag, out.VersionID, out.LastModified), nil
}

// created describes a blob whose bytes the service has checked.
func created(key string, d digest.Digest, contentType string, etag *azcore.ETag, version *string, modified *time.Time) objstore.Info {
	return objstore.Info{
		Key: key, Size: d.Size, ETag: unquote(etag), VersionID: value(version), ContentType: contentType,
		CRC64: d.CRC64, HasCRC64: true, Modified: value(modified), Latest: true,
	}
}

// Abandon implements objstore.Writer. There is nothing to do: blocks that were never committed lapse within a week, and
// another upload's commit drops them.
func (s *Store) Abandon(context.Context, string, string) error { return nil }

// Tag implements objstore.Writer: there is nothing to do, since commits carry the tags.
func (s *Store) Tag(context.Context, string, map[string]string) error { return nil }

// ReadSidecar implements objstore.Writer.
func (s *Store) ReadSidecar(ctx context.Context, key string) ([]byte, error) {
	op := "read " + key
	if !strings.HasPrefix(key, objstore.SidecarPrefix) {
		return nil, objstore.Refuse(fault.Permanent, op, "a writer reads below %s only", objstore.SidecarPrefix)
	}
	body, err := s.get(ctx, key, blob.HTTPRange{})
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

// Stat describes the visible blob, with the checksum that its creator wrote into its metadata.
func (s *account) Stat(ctx context.Context, key string) (objstore.Info, error) {
	info, err := s.stat(ctx, s.client.NewBlobClient(key), key)
	info.Latest = err == nil
	return info, err
}

func (s *account) stat(ctx context.Context, at *blob.Client, key string) (objstore.Info, error) {
	op := "stat " + key
	out, err := at.GetProperties(ctx, nil)
	switch {
	case err != nil && absent(err):
		return objstore.Info{}, objstore.NotExist(op)
	case err != nil:
		return objstore.Info{}, s.fail(op, err)
	}
	info := objstore.Info{
		Key: key, Size: value(out.ContentLength), ETag: unquote(out.ETag), VersionID: value(out.VersionID),
		ContentType: value(out.ContentType), Modified: value(out.LastModified),
	}
	for name, sum := range out.Metadata { // names come back in another case
		if !strings.EqualFold(name, checksumName) {
			continue
		}
		if crc, err := digest.DecodeCRC64(value(sum)); err == nil {
			info.CRC64, info.HasCRC64 = crc, true
		}
	}
	return info, nil
}

func metadata(d digest.Digest) map[string]*string {
	return map[string]*string{checksumName: to.Ptr(digest.EncodeCRC64(d.CRC64))}
}

func headers(contentType string) *blob.HTTPHeaders {
	if contentType == "" {
		return nil
	}
	return &blob.HTTPHeaders{BlobContentType: &contentType}
}

func unquote(etag *azcore.ETag) string { return strings.Trim(string(value(etag)), `"`) }

// value returns what p points to, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
