package terraform

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/twinreel/twinreel/deploy/check/internal/terraform/calls"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// Servers are the local ones, as `bin/local with-servers` tells of them.
type Servers struct {
	S3    calls.S3
	Azure calls.Azure
}

// LocalServers reads where they are.
func LocalServers() (Servers, error) {
	var missing []string
	need := func(name string) string {
		v := os.Getenv(name)
		if v == "" {
			missing = append(missing, name)
		}
		return v
	}
	s := Servers{
		S3: calls.S3{
			Endpoint: need(testenv.S3Endpoint), Region: need(testenv.S3Region),
			Writer: calls.Keys{Access: need(testenv.S3WriterKey), Secret: need(testenv.S3WriterSecret)},
			Reader: calls.Keys{Access: need(testenv.S3ReaderKey), Secret: need(testenv.S3ReaderSecret)},
			Root:   calls.Keys{Access: need(testenv.S3RootKey), Secret: need(testenv.S3RootSecret)},
		},
		Azure: calls.Azure{
			ServiceURL: need(testenv.AzureServiceURL), Account: need(testenv.AzureAccountName), Key: need(testenv.AzureAccountKey), Container: need(testenv.AzureContainer),
		},
	}
	if len(missing) > 0 {
		return Servers{}, fmt.Errorf("not set: %s; run this by bin/local with-servers --", strings.Join(missing, ", "))
	}
	return s, nil
}

// Bucket makes a bucket of its own, with versions and object lock, and with the planned policies as far as the server takes them.
func (s Servers) Bucket(ctx context.Context, planned S3Policies) (calls.S3, error) {
	out := s.S3
	out.Bucket = "policies-" + strings.ToLower(rand.Text()[:10])
	local, err := planned.Local(out)
	if err != nil {
		return out, err
	}
	policy := strings.ReplaceAll(local.Policy, planned.BucketARN, "arn:aws:s3:::"+out.Bucket)
	root := out.Client(out.Endpoint, out.Root)
	if _, err := root.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket: &out.Bucket, ObjectLockEnabledForBucket: aws.Bool(true),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(out.Region)},
	}); err != nil {
		return out, fmt.Errorf("make a bucket: %w", err)
	}
	_, versions := root.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: &out.Bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	_, set := root.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &out.Bucket, Policy: &policy})
	return out, errors.Join(versions, set)
}

// Record makes all calls and keeps what they sent: those that the programs make with their own keys, on a bucket that has the
// planned policies as far as the server knows them, so that they also pass there; the others as who may everything, or they would
// be refused halfway.
func (s Servers) Record(ctx context.Context, p Planned, config s3store.Config) (Calls, error) {
	policies, err := p.S3()
	if err != nil {
		return Calls{}, err
	}
	bucket, err := s.Bucket(ctx, policies)
	if err != nil {
		return Calls{}, err
	}
	var out Calls
	var errs [3]error
	bucket.Config = config
	out.S3Wanted, errs[0] = bucket.Wanted(ctx)
	scratch, err := s.Bucket(ctx, policies)
	if err != nil {
		return Calls{}, err
	}
	out.S3Forbidden, errs[1] = scratch.Forbidden(ctx, scratch.Root)
	out.AzureWanted, out.AzureForbidden, errs[2] = s.Azure.Calls(ctx)
	return out, errors.Join(errs[:]...)
}
