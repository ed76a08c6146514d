package outside

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// S3 is the primary tier's store.
type S3 struct {
	client *s3.Client
	bucket string
}

// NewS3 makes a reader of a bucket.
func NewS3(endpoint, region, bucket, accessKey, secretKey string) *S3 {
	return &S3{bucket: bucket, client: s3.New(s3.Options{
		BaseEndpoint: aws.String(endpoint), Region: region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		// The reader hashes for itself; the client need not do it as well.
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})}
}

// Name implements Store.
func (s *S3) Name() string { return "primary" }

// List implements Store.
func (s *S3) List(ctx context.Context) ([]Entry, error) {
	var all []Entry
	versions := s3.NewListObjectVersionsPaginator(s.client, &s3.ListObjectVersionsInput{Bucket: &s.bucket})
	for versions.HasMorePages() {
		page, err := versions.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the versions in bucket %s: %w", s.bucket, err)
		}
		for _, v := range page.Versions {
			// versitygw lists the version that ends a page once more at the beginning of the next.
			if n := len(all); n > 0 && all[n-1].Key == *v.Key && all[n-1].Version == aws.ToString(v.VersionId) {
				continue
			}
			all = append(all, Entry{Key: *v.Key, Version: aws.ToString(v.VersionId), Size: aws.ToInt64(v.Size)})
		}
		for _, m := range page.DeleteMarkers {
			all = append(all, Entry{Key: *m.Key, Version: aws.ToString(m.VersionId), What: DeleteMarker})
		}
	}
	// Probe writes are begun every few seconds, and one that a sick store does not let end is left to the bucket's lifecycle.
	const probes = "probe/"
	uploads := s3.NewListMultipartUploadsPaginator(s.client, &s3.ListMultipartUploadsInput{Bucket: &s.bucket})
	for uploads.HasMorePages() {
		page, err := uploads.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the uploads in bucket %s: %w", s.bucket, err)
		}
		for _, u := range page.Uploads {
			if strings.HasPrefix(*u.Key, probes) {
				continue
			}
			all = append(all, Entry{Key: *u.Key, Version: aws.ToString(u.UploadId), What: Upload})
		}
	}
	return all, nil
}

// Open implements Store.
func (s *S3) Open(ctx context.Context, e Entry) (Object, io.ReadCloser, error) {
	tags, err := s.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &s.bucket, Key: &e.Key, VersionId: &e.Version})
	if err != nil {
		return Object{}, nil, fmt.Errorf("read the tags of %s in bucket %s: %w", e.Key, s.bucket, err)
	}
	got, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.bucket, Key: &e.Key, VersionId: &e.Version, ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		return Object{}, nil, fmt.Errorf("read %s in bucket %s: %w", e.Key, s.bucket, err)
	}
	o := Object{
		Size: aws.ToInt64(got.ContentLength), ContentType: aws.ToString(got.ContentType), Tags: make(map[string]string),
		CRC64: aws.ToString(got.ChecksumCRC64NVME),
	}
	for _, t := range tags.TagSet {
		o.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return o, got.Body, nil
}
