package s3store

import (
	"bytes"
	"context"
	"crypto/rand"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
)

// impossible are a body and checksums that contradict it and each other: a server that is permitted to take it refuses
// it all the same (BadDigest). Two of them, so that one that a server overlooks does no harm.
const (
	impossibleBody = "never stored"
	impossibleMD5  = "AAAAAAAAAAAAAAAAAAAAAA==" // base64 of sixteen zero bytes
	impossibleCRC  = 1
)

// MayCreate implements objstore.Inspector: a conditional PUT whose checksums are wrong.
func (i *Inspector) MayCreate(ctx context.Context, key string) (bool, error) {
	return i.mayPut(ctx, key, aws.String("*"))
}

// MayOverwrite implements objstore.Inspector: the same PUT without a condition, which a bucket's policy can refuse (condition
// key s3:if-none-match).
func (i *Inspector) MayOverwrite(ctx context.Context, key string) (bool, error) {
	return i.mayPut(ctx, key, nil)
}

func (i *Inspector) mayPut(ctx context.Context, key string, condition *string) (bool, error) {
	op := "ask whether " + key + " could be put"
	in := &s3.PutObjectInput{
		Bucket: &i.name, Key: &key, Body: bytes.NewReader([]byte(impossibleBody)), ContentLength: aws.Int64(int64(len(impossibleBody))),
		IfNoneMatch: condition, ContentMD5: aws.String(impossibleMD5), ChecksumCRC64NVME: aws.String(digest.EncodeCRC64(impossibleCRC)),
		ServerSideEncryption: i.config.sse(), SSEKMSKeyId: optional(i.config.KMSKeyID),
	}
	_, err := i.client.PutObject(ctx, in, unsigned)
	if err == nil {
		return true, fault.New(fault.Corrupt, fault.Store, op, errDone)
	}
	return i.refused(op, err, "BadDigest", "XAmzContentChecksumMismatch", "PreconditionFailed", "ConditionalRequestConflict")
}

// nobodysKey is a key that nothing was ever stored under.
func nobodysKey() string { return "probe/doctor-" + rand.Text() }

// MayDelete implements objstore.Inspector: a delete of a key that is not there, on the condition that its content is that of
// an ETag. AWS refuses that with 404 or 412 (Amazon S3 User Guide, "How to perform conditional deletes"). Other servers may
// overlook the condition and leave a delete marker, so they are not asked.
func (i *Inspector) MayDelete(ctx context.Context) (bool, error) {
	const op = "ask whether objects could be deleted"
	if i.config.Endpoint != "" {
		return false, cannotTell("only on AWS can it be asked without harm")
	}
	_, err := i.client.DeleteObject(ctx, &s3.DeleteObjectInput{
		Bucket: &i.name, Key: aws.String(nobodysKey()), IfMatch: aws.String(`"00000000000000000000000000000000"`),
	})
	if err == nil {
		return true, nil // nothing was there
	}
	return i.refused(op, err, "NoSuchKey", "PreconditionFailed")
}

// MayDeleteVersions implements objstore.Inspector: a delete of a version that is not there, of a key that is not there. That
// leaves no delete marker, which only a delete without a version does.
func (i *Inspector) MayDeleteVersions(ctx context.Context) (bool, error) {
	const op = "ask whether versions could be deleted"
	_, err := i.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &i.name, Key: aws.String(nobodysKey()), VersionId: aws.String("null")})
	if err == nil {
		return true, nil
	}
	return i.refused(op, err, "NoSuchKey", "NoSuchVersion")
}
