package s3store

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// Link implements objstore.Reader by a presigned GetObject (Amazon S3 API Reference, "Authenticating requests: using query
// parameters"). It asks the server nothing.
func (r *Reader) Link(ctx context.Context, key string, ttl time.Duration) (objstore.Link, error) {
	op := "link " + key
	life, err := objstore.LinkLife(op, ttl)
	if err != nil {
		return objstore.Link{}, err
	}
	// One set of credentials for all of it: a link outlives nobody's.
	signer, err := r.client.Options().Credentials.Retrieve(ctx)
	if err != nil {
		return objstore.Link{}, r.fail(op, err)
	}
	// Before it is signed, so that the store's own reckoning ends no earlier.
	start := r.now().UTC().Truncate(time.Second)
	if signer.CanExpire {
		life = min(life, signer.Expires.Sub(start).Truncate(time.Second))
	}
	if life <= 0 {
		return objstore.Link{}, objstore.Refuse(fault.Transient, op, "the reader's own credentials are at their end")
	}
	signed, err := s3.NewPresignClient(r.client, s3.WithPresignExpires(life)).PresignGetObject(ctx,
		&s3.GetObjectInput{Bucket: &r.name, Key: &key}, s3.WithPresignClientFromClientOptions(fixed(signer)))
	if err != nil {
		return objstore.Link{}, r.fail(op, fmt.Errorf("sign: %w", err))
	}
	return objstore.Link{URL: signed.URL, ExpiresAt: start.Add(life)}, nil
}

// fixed makes a client sign by these credentials.
func fixed(c aws.Credentials) func(*s3.Options) {
	return func(o *s3.Options) { o.Credentials = credentials.StaticCredentialsProvider{Value: c} }
}
