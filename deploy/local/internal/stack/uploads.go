package stack

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// OpenParts counts the parts of all unfinished uploads of the key.
func (a S3Access) OpenParts(ctx context.Context, key string) (n int, err error) {
	client := a.Client(a.Root)
	uploads, err := client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &a.Bucket})
	if err != nil {
		return 0, fmt.Errorf("list the unfinished uploads of bucket %s: %w", a.Bucket, err)
	}
	for _, u := range uploads.Uploads {
		if aws.ToString(u.Key) != key {
			continue
		}
		parts, err := client.ListParts(ctx, &s3.ListPartsInput{Bucket: &a.Bucket, Key: u.Key, UploadId: u.UploadId})
		if err != nil {
			return 0, fmt.Errorf("list the parts of %s: %w", key, err)
		}
		n += len(parts.Parts)
	}
	return n, nil
}
