package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/twinreel/twinreel/deploy/local/internal/process"
	"github.com/twinreel/twinreel/deploy/local/internal/tools"
)

// Keys are an S3 user's credentials.
type Keys struct{ Access, Secret string }

// S3Access is how to reach the S3 server.
type S3Access struct {
	Endpoint, Region, Bucket string
	// Writer may add objects and look, and can neither delete nor change the bucket.
	Writer Keys
	// Reader may look, at every version, and put below audit/ only.
	Reader Keys
	// Root may do everything; only the stack itself and tests use it.
	Root Keys
}

// Client makes a plain client with the keys.
func (a S3Access) Client(k Keys) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(a.Endpoint), Region: a.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(k.Access, k.Secret, ""),
	})
}

func (s *Stack) describeS3(set tools.Set, port int) error {
	a := S3Access{
		Endpoint: "http://" + loopback(port), Region: "eu-central-1", Bucket: "recordings",
		Writer: Keys{"writer", secret(20)}, Reader: Keys{"reader", secret(20)}, Root: Keys{"root", secret(20)},
	}
	s.S3Access = a
	dirs := make(map[string]string)
	for _, name := range []string{"data", "versions", "iam"} {
		dir, err := s.folder(filepath.Join("s3", name))
		if err != nil {
			return err
		}
		dirs[name] = dir
	}
	s.S3 = &Server{
		Name: "versitygw", Addr: loopback(port),
		spec: process.Spec{
			Name: "versitygw", Path: set.Versitygw, Dir: s.Dir, Log: filepath.Join(s.Dir, "s3.log"),
			Args: []string{
				"--port", loopback(port), "--region", a.Region, "--iam-dir", dirs["iam"], "--health", "/health",
				"--keep-alive", "--quiet", "posix", "--versioning-dir", dirs["versions"], dirs["data"],
			},
			// By the environment, so that no other user of the machine sees the secret in the list of processes.
			Env: append(os.Environ(), "ROOT_ACCESS_KEY="+a.Root.Access, "ROOT_SECRET_KEY="+a.Root.Secret),
		},
		ready: answers(a.Endpoint+"/health", 200),
	}
	return nil
}

// prepareS3 makes the users and the bucket.
func (s *Stack) prepareS3(ctx context.Context, set tools.Set) error {
	for _, k := range []Keys{s.S3Access.Writer, s.S3Access.Reader} {
		if err := s.addS3User(ctx, set, k); err != nil {
			return err
		}
	}
	return s.S3Access.createBucket(ctx)
}

// createBucket makes the bucket, with versions on, and says who may do what.
func (a S3Access) createBucket(ctx context.Context) error {
	root, bucket := a.Client(a.Root), aws.String(a.Bucket)
	// Object lock can only be had from the bucket's creation on.
	if _, err := root.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket: bucket, ObjectLockEnabledForBucket: aws.Bool(true),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraint(a.Region),
		},
	}); err != nil {
		return fmt.Errorf("create the bucket %s: %w", a.Bucket, err)
	}
	if _, err := root.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}); err != nil {
		return fmt.Errorf("turn on versions for the bucket %s: %w", a.Bucket, err)
	}
	if _, err := root.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: aws.String(a.policy(a.Writer))}); err != nil {
		return fmt.Errorf("set the policy of the bucket %s: %w", a.Bucket, err)
	}
	return nil
}

// addS3User makes a user by the server's own command.
func (s *Stack) addS3User(ctx context.Context, set tools.Set, k Keys) error {
	cmd := exec.CommandContext(ctx, set.Versitygw, "admin", "create-user", "--access", k.Access, "--secret", k.Secret, "--role", "user")
	cmd.Env = s.s3Admin()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make the S3 user %s: %w: %s", k.Access, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// s3Admin is the environment of the server's own commands.
func (s *Stack) s3Admin() []string {
	a := s.S3Access
	return append(os.Environ(), "ADMIN_ENDPOINT_URL="+a.Endpoint, "ADMIN_REGION="+a.Region,
		"ADMIN_ACCESS_KEY="+a.Root.Access, "ADMIN_SECRET_KEY="+a.Root.Secret)
}

// policy is the bucket's: the least that the reader needs, and the writer, who may have several keys at once.
func (a S3Access) policy(writers ...Keys) string {
	bucket := "arn:aws:s3:::" + a.Bucket
	allow := func(who []Keys, resource string, actions ...string) map[string]any {
		var principals []string
		for _, k := range who {
			principals = append(principals, k.Access)
		}
		return map[string]any{"Effect": "Allow", "Principal": principals, "Resource": resource, "Action": actions}
	}
	readers := []Keys{a.Reader}
	b, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{
		allow(writers, bucket, "s3:ListBucket", "s3:ListBucketMultipartUploads"),
		allow(writers, bucket+"/*", "s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectRetention", "s3:GetObject",
			"s3:GetObjectTagging", "s3:GetObjectAttributes", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
		allow(readers, bucket, "s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketVersioning",
			"s3:ListBucketMultipartUploads", "s3:GetBucketObjectLockConfiguration", "s3:GetEncryptionConfiguration",
			"s3:GetLifecycleConfiguration", "s3:GetBucketPublicAccessBlock", "s3:GetBucketPolicyStatus"), // the last five: for doctor
		allow(readers, bucket+"/*", "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging",
			"s3:GetObjectVersionTagging", "s3:GetObjectAttributes", "s3:GetObjectRetention"),
		allow(readers, bucket+"/audit/*", "s3:PutObject"),
	}})
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return string(b)
}
