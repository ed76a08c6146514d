package e2e

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// partsUp tells whether an upload of the key has at least n parts.
func (b *bed) partsUp(ctx context.Context, key string, n int) error {
	a := b.stack.S3Access
	client := a.Client(a.Root)
	uploads, err := client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &a.Bucket})
	if err != nil {
		return err
	}
	for _, u := range uploads.Uploads {
		if aws.ToString(u.Key) != key {
			continue
		}
		parts, err := client.ListParts(ctx, &s3.ListPartsInput{Bucket: &a.Bucket, Key: u.Key, UploadId: u.UploadId})
		if err != nil {
			return err
		}
		if len(parts.Parts) < n {
			return fmt.Errorf("%d parts are up, want %d", len(parts.Parts), n)
		}
		return nil
	}
	return errors.New("no upload of it is open")
}

// parts counts the parts of all open uploads of the key.
func (b *bed) parts(key string) int {
	b.t.Helper()
	n, err := b.stack.S3Access.OpenParts(b.t.Context(), key)
	b.must(err)
	return n
}
