package calls

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Forbidden makes the calls that none of the programs may make, by the SDK with somebody's keys. What comes of each is in its
// Err: whoever may everything succeeds, or not, at what AWS alone knows.
func (s S3) Forbidden(ctx context.Context, k Keys) ([]Call, error) {
	r, err := Record(s.Endpoint)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f := &forbidden{S3: s, as: s.Client(r.URL, k), root: s.Client(s.Endpoint, s.Root), run: strings.ToLower(rand.Text()[:10])}
	if err := f.prepare(ctx); err != nil {
		return nil, err
	}
	list, err := r.make(ctx, f.steps())
	list = append(list, f.elsewhere(list)...)
	return append(list, keyCalls()...), err
}

type forbidden struct {
	S3
	as, root *s3.Client
	run      string
	key      string // an object that is there
	version  string
	upload   string // one that is open, with a part
	part     types.CompletedPart
}

func (f *forbidden) prepare(ctx context.Context) error {
	f.key = "recordings/" + f.run + ".wav"
	out, err := f.root.PutObject(ctx, &s3.PutObjectInput{Bucket: &f.Bucket, Key: &f.key, Body: strings.NewReader("kept")})
	if err != nil {
		return fmt.Errorf("store what must not be touched: %w", err)
	}
	f.version = aws.ToString(out.VersionId)
	open, err := f.root.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &f.Bucket, Key: &f.key})
	if err != nil {
		return err
	}
	f.upload = aws.ToString(open.UploadId)
	sent, err := f.root.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &f.Bucket, Key: &f.key, UploadId: &f.upload, PartNumber: aws.Int32(1), Body: strings.NewReader("another"),
	})
	if err != nil {
		return err
	}
	f.part = types.CompletedPart{PartNumber: aws.Int32(1), ETag: sent.ETag}
	return nil
}

// Names of calls that tests look for.
const (
	Overwrite       = "overwrite a recording"
	CommitOver      = "commit an upload over one"
	AddRecording    = "add below recordings/"
	AddToLog        = "add below audit/"
	AddElsewhere    = "add elsewhere"
	ByAnotherKey    = "store under another key"
	ByS3sKey        = "store encrypted by S3's own key"
	ByCustomersKey  = "store under a key of one's own (SSE-C)"
	WithALock       = "store with a lock of its own"
	ByPlainHTTP     = "add below recordings/ by plain HTTP"
	ByOldTLS        = "add below recordings/ by TLS 1.1"
	InAnotherRegion = "add below recordings/ by another region"
	OverKnown       = "overwrite one whose ETag is known"
	CopyOver        = "copy over one"
	DecryptDirectly = "decrypt without S3"
)

func (f *forbidden) steps() []step {
	glass, admins := []Identity{Glass}, []Identity{Glass, Admin}
	object := func(name string, may []Identity, do func(ctx context.Context) error) step {
		return step{name: name, by: Glass, may: may, do: do}
	}
	put := func(name string, may []Identity, key string, change func(*s3.PutObjectInput)) step {
		return object(name, may, func(ctx context.Context) error {
			in := &s3.PutObjectInput{Bucket: &f.Bucket, Key: &key, Body: strings.NewReader("new"), IfNoneMatch: aws.String("*")}
			if change != nil {
				change(in)
			}
			return second(f.as.PutObject(ctx, in))
		})
	}
	retain := func(name string, days int, change func(*s3.PutObjectRetentionInput)) step {
		return object(name, glass, func(ctx context.Context) error {
			in := &s3.PutObjectRetentionInput{Bucket: &f.Bucket, Key: &f.key, Retention: &types.ObjectLockRetention{
				Mode: types.ObjectLockRetentionModeGovernance, RetainUntilDate: aws.Time(time.Now().AddDate(0, 0, days)),
			}}
			if change != nil {
				change(in)
			}
			return second(f.as.PutObjectRetention(ctx, in))
		})
	}
	list := []step{
		put(AddRecording, []Identity{Writer}, f.key+".new", nil),
		put(AddToLog, []Identity{Reader}, "audit/"+f.run, nil),
		put(AddElsewhere, nil, "elsewhere/"+f.run, nil),
		put(Overwrite, nil, f.key, func(in *s3.PutObjectInput) { in.IfNoneMatch = nil }),
		put(OverKnown, nil, f.key, func(in *s3.PutObjectInput) { in.IfNoneMatch, in.IfMatch = nil, aws.String(`"0"`) }),
		object(CopyOver, nil, func(ctx context.Context) error {
			return second(f.as.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &f.Bucket, Key: &f.key, CopySource: aws.String(f.Bucket + "/" + f.key)}))
		}),
		object(CommitOver, nil, func(ctx context.Context) error {
			return second(f.as.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
				Bucket: &f.Bucket, Key: &f.key, UploadId: &f.upload, MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{f.part}},
			}))
		}),
		put(ByS3sKey, nil, f.key+".aes", func(in *s3.PutObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAes256 }),
		put(ByAnotherKey, nil, f.key+".key", func(in *s3.PutObjectInput) {
			in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, aws.String("arn:aws:kms:us-east-1:123456789012:key/another")
		}),
		put(ByCustomersKey, nil, f.key+".own", func(in *s3.PutObjectInput) {
			in.SSECustomerAlgorithm, in.SSECustomerKey = aws.String("AES256"), aws.String("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
			in.SSECustomerKeyMD5 = aws.String("nkKlVLwVn4Yr7mI8/Axc/g==")
		}),
		put(WithALock, nil, f.key+".lock", func(in *s3.PutObjectInput) {
			in.ObjectLockMode, in.ObjectLockRetainUntilDate = types.ObjectLockModeGovernance, aws.Time(time.Now().Add(time.Second))
			in.ContentMD5 = aws.String("IsBJsd/fLAQwtUK7b4ds/g==")
		}),
		retain("shorten retention", 1, nil),
		retain("shorten retention by a bypass", 1, func(in *s3.PutObjectRetentionInput) { in.BypassGovernanceRetention = aws.Bool(true) }),
		retain("make retention endless", 36500, nil),
		object("lift a legal hold", glass, func(ctx context.Context) error {
			return second(f.as.PutObjectLegalHold(ctx, &s3.PutObjectLegalHoldInput{
				Bucket: &f.Bucket, Key: &f.key, LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOff},
			}))
		}),
		object("take tags away", glass, func(ctx context.Context) error {
			return second(f.as.DeleteObjectTagging(ctx, &s3.DeleteObjectTaggingInput{Bucket: &f.Bucket, Key: &f.key}))
		}),
		object("tag the log", nil, func(ctx context.Context) error {
			return second(f.as.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{
				Bucket: &f.Bucket, Key: aws.String("audit/" + f.run), Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}},
			}))
		}),
		object("change an object's ACL", nil, func(ctx context.Context) error {
			return second(f.as.PutObjectAcl(ctx, &s3.PutObjectAclInput{Bucket: &f.Bucket, Key: &f.key, ACL: types.ObjectCannedACLPublicRead}))
		}),
		object("delete a version", glass, func(ctx context.Context) error {
			return second(f.as.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &f.Bucket, Key: &f.key, VersionId: &f.version}))
		}),
		object("delete a locked version by a bypass", glass, func(ctx context.Context) error {
			return second(f.as.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &f.Bucket, Key: &f.key, VersionId: &f.version, BypassGovernanceRetention: aws.Bool(true)}))
		}),
		object("delete a recording", glass, func(ctx context.Context) error {
			return second(f.as.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &f.Bucket, Key: &f.key}))
		}),
		object("delete several at once", glass, func(ctx context.Context) error {
			out, err := f.as.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &f.Bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: &f.key}, {Key: &f.key, VersionId: &f.version}}}})
			if err == nil && len(out.Errors) == 2 {
				return fmt.Errorf("each is refused: %s", aws.ToString(out.Errors[0].Code))
			}
			return err
		}),
		object("suspend versions", admins, func(ctx context.Context) error {
			return second(f.as.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
				Bucket: &f.Bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended},
			}))
		}),
		object("end the default retention", admins, func(ctx context.Context) error {
			return second(f.as.PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{
				Bucket: &f.Bucket, ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled},
			}))
		}),
		object("let a lifecycle rule remove recordings", admins, func(ctx context.Context) error {
			return second(f.as.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{
				Bucket: &f.Bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{
					{ID: aws.String("x"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")}, Expiration: &types.LifecycleExpiration{Days: aws.Int32(1)}},
				}},
			}))
		}),
		object("end encryption", []Identity{Admin}, func(ctx context.Context) error {
			return second(f.as.DeleteBucketEncryption(ctx, &s3.DeleteBucketEncryptionInput{Bucket: &f.Bucket}))
		}),
		object("open the bucket to the public", []Identity{Admin}, func(ctx context.Context) error {
			return second(f.as.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: &f.Bucket}))
		}),
		object("change the policy", admins, func(ctx context.Context) error {
			return second(f.as.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &f.Bucket, Policy: aws.String(`{}`)}))
		}),
		object("take the policy away", []Identity{Admin}, func(ctx context.Context) error {
			return second(f.as.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: &f.Bucket}))
		}),
		object("delete the bucket", nil, func(ctx context.Context) error {
			return second(f.as.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &f.Bucket}))
		}),
	}
	return list
}

// elsewhere are calls that differ from another only in how they come.
func (f *forbidden) elsewhere(list []Call) []Call {
	var out []Call
	for _, c := range list {
		if c.Name != AddRecording {
			continue
		}
		for _, way := range []struct{ name, key, value string }{
			{ByPlainHTTP, "aws:SecureTransport", "false"},
			{ByOldTLS, "s3:TlsVersion", "1.1"},
			{InAnotherRegion, "aws:RequestedRegion", "eu-west-1"},
		} {
			c.Name, c.May, c.Context = way.name, nil, map[string]string{way.key: way.value}
			out = append(out, c)
		}
	}
	return out
}

// keyCalls are calls to KMS, which no local server has.
func keyCalls() []Call {
	key := func(name, action string, may []Identity, context map[string]string) Call {
		return Call{Name: name, By: Glass, May: may, Context: context, Direct: []Right{{Action: action, KMS: true}}}
	}
	direct := map[string]string{"kms:ViaService": ""}
	return []Call{
		key("delete the key", "kms:ScheduleKeyDeletion", nil, nil),
		key("disable the key", "kms:DisableKey", nil, nil),
		key("end the key's rotation", "kms:DisableKeyRotation", nil, nil),
		key("grant the key to somebody", "kms:CreateGrant", nil, nil),
		key("change the key's policy", "kms:PutKeyPolicy", []Identity{Admin}, nil),
		key(DecryptDirectly, "kms:Decrypt", nil, direct),
	}
}
