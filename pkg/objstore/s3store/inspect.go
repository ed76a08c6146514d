package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

var _ objstore.Inspector = (*Inspector)(nil)

// Inspector tells how a bucket is set up. It is safe for concurrent use.
type Inspector struct {
	Reader
	config Config
}

// OpenInspector prepares a bucket for being looked at, as Open does for writing.
func OpenInspector(ctx context.Context, c Config, list ...Option) (*Inspector, error) {
	b, err := open(ctx, c, list)
	if err != nil {
		return nil, err
	}
	return &Inspector{Reader{*b}, c}, nil
}

// cannotTell is objstore.ErrCannotTell with its reason.
func cannotTell(format string, args ...any) error {
	return fmt.Errorf("%w: %s", objstore.ErrCannotTell, fmt.Sprintf(format, args...))
}

// untold makes an error of a question about the bucket what callers tell apart: what this server does not know, what this
// identity may not ask, and what went wrong.
func (i *Inspector) untold(op, action string, err error) error {
	a, ok := answered(err)
	switch {
	case !ok:
	case a.status == http.StatusNotImplemented, a.status == http.StatusMethodNotAllowed, a.code == "NotImplemented":
		return cannotTell("the server does not know the question (%d %s)", a.status, a.code)
	case a.code == "AccessDenied":
		return cannotTell("this identity may not ask; permit it %s", action)
	}
	return i.fail(op, err)
}

// code returns the server's error code in err, "" for none.
func code(err error) string {
	a, _ := answered(err)
	return a.code
}

// head asks for the bucket.
func (i *Inspector) head(ctx context.Context) (*s3.HeadBucketOutput, error) {
	out, err := i.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &i.name})
	if err != nil {
		return nil, i.fail("look for the bucket", err)
	}
	return out, nil
}

// Clock implements objstore.Inspector.
func (i *Inspector) Clock(ctx context.Context) (time.Time, error) {
	out, err := i.head(ctx)
	if err != nil {
		return time.Time{}, err
	}
	at, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
	if !ok || at.IsZero() {
		return time.Time{}, cannotTell("its answers have no date")
	}
	return at.UTC(), nil
}

// Region implements objstore.Inspector.
func (i *Inspector) Region(ctx context.Context) (string, error) {
	out, err := i.head(ctx)
	switch {
	case err != nil:
		return "", err
	case aws.ToString(out.BucketRegion) == "":
		return "", cannotTell("the server does not name its region")
	}
	return *out.BucketRegion, nil
}

// Versioning implements objstore.Inspector.
func (i *Inspector) Versioning(ctx context.Context) (bool, error) {
	out, err := i.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &i.name})
	if err != nil {
		return false, i.untold("ask for the bucket's versioning", "s3:GetBucketVersioning", err)
	}
	return out.Status == types.BucketVersioningStatusEnabled, nil
}

// Lock implements objstore.Inspector.
func (i *Inspector) Lock(ctx context.Context) (objstore.Lock, error) {
	out, err := i.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &i.name})
	switch {
	case code(err) == "ObjectLockConfigurationNotFoundError":
		return objstore.Lock{}, nil
	case err != nil:
		return objstore.Lock{}, i.untold("ask for the bucket's object lock", "s3:GetBucketObjectLockConfiguration", err)
	}
	c := out.ObjectLockConfiguration
	if c == nil || c.ObjectLockEnabled != types.ObjectLockEnabledEnabled {
		return objstore.Lock{}, nil
	}
	l := objstore.Lock{Possible: true}
	if c.Rule != nil && c.Rule.DefaultRetention != nil {
		const year = 365 // as S3 counts them
		d := c.Rule.DefaultRetention
		l.Days, l.Mode = int(aws.ToInt32(d.Days))+year*int(aws.ToInt32(d.Years)), string(d.Mode)
		l.Default = l.Days > 0
	}
	return l, nil
}

// Encryption implements objstore.Inspector.
func (i *Inspector) Encryption(ctx context.Context) (objstore.Encryption, error) {
	out, err := i.client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &i.name})
	switch {
	case code(err) == "ServerSideEncryptionConfigurationNotFoundError":
		return objstore.Encryption{}, nil
	case err != nil:
		return objstore.Encryption{}, i.untold("ask for the bucket's encryption", "s3:GetEncryptionConfiguration", err)
	}
	if c := out.ServerSideEncryptionConfiguration; c != nil {
		for _, r := range c.Rules {
			if d := r.ApplyServerSideEncryptionByDefault; d != nil {
				return objstore.Encryption{Default: string(d.SSEAlgorithm), Key: aws.ToString(d.KMSMasterKeyID)}, nil
			}
		}
	}
	return objstore.Encryption{}, nil
}

// Exposure implements objstore.Inspector, by the bucket's public access block and its policy's status. A bucket whose
// access is blocked in all four ways needs no look at its policy.
func (i *Inspector) Exposure(ctx context.Context) ([]string, error) {
	var open []string
	out, err := i.client.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &i.name})
	switch {
	case code(err) == "NoSuchPublicAccessBlockConfiguration":
		open = append(open, "nothing blocks public access to the bucket")
	case err != nil:
		return i.listable(ctx, i.untold("ask for the bucket's public access block", "s3:GetBucketPublicAccessBlock", err))
	default:
		open = unblocked(out.PublicAccessBlockConfiguration)
	}
	if len(open) == 0 {
		return nil, nil
	}
	status, err := i.client.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: &i.name})
	if err == nil && status.PolicyStatus != nil && aws.ToBool(status.PolicyStatus.IsPublic) {
		open = append(open, "the bucket's policy is public")
	}
	return open, nil
}

// listable tries what any stranger could, where cannot says why no more is known.
func (i *Inspector) listable(ctx context.Context, cannot error) ([]string, error) {
	stranger := s3.New(i.client.Options(), func(o *s3.Options) { o.Credentials = aws.AnonymousCredentials{} })
	_, err := stranger.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &i.name, MaxKeys: aws.Int32(1)})
	if err == nil {
		return []string{"anybody may list the bucket"}, nil
	}
	return nil, cannot
}

// unblocked lists what a public access block leaves open.
func unblocked(c *types.PublicAccessBlockConfiguration) []string {
	if c == nil {
		c = &types.PublicAccessBlockConfiguration{}
	}
	var out []string
	for _, one := range []struct {
		on   *bool
		name string
	}{
		{c.BlockPublicAcls, "BlockPublicAcls"},
		{c.IgnorePublicAcls, "IgnorePublicAcls"},
		{c.BlockPublicPolicy, "BlockPublicPolicy"},
		{c.RestrictPublicBuckets, "RestrictPublicBuckets"},
	} {
		if !aws.ToBool(one.on) {
			out = append(out, one.name+" is off")
		}
	}
	return out
}

// Lifecycle implements objstore.Inspector.
func (i *Inspector) Lifecycle(ctx context.Context) ([]objstore.Rule, error) {
	out, err := i.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &i.name})
	switch {
	case code(err) == "NoSuchLifecycleConfiguration":
		return nil, nil
	case err != nil:
		return nil, i.untold("ask for the bucket's lifecycle rules", "s3:GetLifecycleConfiguration", err)
	}
	var rules []objstore.Rule
	for _, r := range out.Rules {
		if r.Status == types.ExpirationStatusEnabled {
			rules = append(rules, rule(r))
		}
	}
	return rules, nil
}

// rule takes from a lifecycle rule what matters.
func rule(r types.LifecycleRule) objstore.Rule {
	out := objstore.Rule{Name: aws.ToString(r.ID)}
	if f := r.Filter; f != nil {
		out.Prefix, out.ByTag = aws.ToString(f.Prefix), f.Tag != nil
		if f.And != nil {
			out.Prefix, out.ByTag = aws.ToString(f.And.Prefix), len(f.And.Tags) > 0
		}
	}
	if e := r.Expiration; e != nil {
		if out.Expires = int(aws.ToInt32(e.Days)); e.Date != nil {
			out.Expires = -1
		}
	}
	if e := r.NoncurrentVersionExpiration; e != nil {
		out.OldExpires = int(aws.ToInt32(e.NoncurrentDays))
	}
	var classes []string
	for _, t := range r.Transitions {
		classes = append(classes, string(t.StorageClass))
	}
	slices.Sort(classes)
	out.Moves = strings.Join(classes, ", ")
	if a := r.AbortIncompleteMultipartUpload; a != nil {
		out.Aborts = int(aws.ToInt32(a.DaysAfterInitiation))
	}
	return out
}

// Identity implements objstore.Inspector. An access key's ID is no secret.
func (i *Inspector) Identity(ctx context.Context) (objstore.Identity, error) {
	c, err := i.client.Options().Credentials.Retrieve(ctx)
	if err != nil {
		return objstore.Identity{}, i.fail("find credentials", err)
	}
	id := objstore.Identity{Kind: "access key", Mark: c.AccessKeyID}
	if c.SessionToken != "" {
		id.Kind = "temporary access key"
	}
	if c.CanExpire {
		id.Expires = c.Expires.UTC()
	}
	return id, nil
}

// refused tells what a request that can never be carried out says about permissions: that it was stopped for want of one,
// or, by one of these codes, that it came further. Any other answer may have come before permissions were looked at.
func (i *Inspector) refused(op string, err error, further ...string) (permitted bool, _ error) {
	a, ok := answered(err)
	switch {
	case !ok:
		return false, i.fail(op, err)
	case a.code == "AccessDenied":
		return false, nil
	case slices.Contains(further, a.code):
		return true, nil
	case a.status == http.StatusNotImplemented:
		return false, cannotTell("the server does not know the question (%d %s)", a.status, a.code)
	case a.class() == fault.Denied, a.class() == fault.Throttled, a.status >= http.StatusInternalServerError:
		return false, i.fail(op, err)
	}
	return false, cannotTell("the server's answer says nothing about rights (%d %s)", a.status, a.code)
}

// errDone says that a server did what it was meant to refuse.
var errDone = errors.New("the server carried out a request that it had to refuse")
