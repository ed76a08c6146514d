// Package s3store is the seam objstore on S3 and servers that speak it.
//
// What it rests on (Amazon S3 API Reference: PutObject, UploadPart, CompleteMultipartUpload): If-None-Match: * makes
// both creating calls conditional; x-amz-checksum-crc64nvme on each of them makes the server compute the checksum of
// what it stored, refuse it when it differs, and name it in its answer, which therefore proves the bytes.
//
// The SDK retries nothing here: a committing call that is sent again after its answer was lost would be told 412 by its
// own object. Only a part, which may be sent twice without harm, is sent a second time when its connection breaks.
package s3store

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

var (
	_ objstore.Writer = (*Store)(nil)
	_ objstore.Reader = (*Reader)(nil)
)

// Store adds objects to a bucket. It is safe for concurrent use.
type Store struct {
	bucket
	config Config
}

// Reader looks at a bucket. It is safe for concurrent use.
type Reader struct{ bucket }

// bucket is what Store and Reader have in common.
type bucket struct {
	client *s3.Client
	name   string
	now    func() time.Time
}

// Bucket returns the bucket's name.
func (b *bucket) Bucket() string { return b.name }

// Option changes how a store is opened.
type Option func(*options)

type options struct {
	now    func() time.Time
	warn   func(text string)
	lookup func(string) (string, bool) // of another program's environment; nil: this one's, by the SDK's own chain
}

// Clock sets the clock that decides when credentials are read again, and from when an object lock counts.
func Clock(now func() time.Time) Option { return func(o *options) { o.now = now } }

// OnWarning sets what is called, from any goroutine, when changed credentials cannot be used and the last good ones stay:
// once for each change. Text holds no secret.
func OnWarning(f func(text string)) Option { return func(o *options) { o.warn = f } }

// Open prepares a bucket for writing. It does not ask the bucket anything: a store that is away is no reason not to start.
func Open(ctx context.Context, c Config, list ...Option) (*Store, error) {
	b, err := open(ctx, c, list)
	if err != nil {
		return nil, err
	}
	return &Store{*b, c}, nil
}

// OpenReader prepares a bucket for reading, as Open does for writing.
func OpenReader(ctx context.Context, c Config, list ...Option) (*Reader, error) {
	b, err := open(ctx, c, list)
	if err != nil {
		return nil, err
	}
	return &Reader{*b}, nil
}

func open(ctx context.Context, c Config, list []Option) (*bucket, error) {
	o := options{now: time.Now, warn: func(string) {}}
	for _, set := range list {
		set(&o)
	}
	var more []func(*config.LoadOptions) error
	if o.lookup != nil {
		c, err := foreign(ctx, o.lookup)
		if err != nil {
			return nil, err
		}
		more = append(more, config.WithCredentialsProvider(c))
	}
	client := awshttp.NewBuildableClient().WithReadTimeout(0).WithTransportOptions(func(t *http.Transport) {
		objstore.TuneTransport(t, objstore.StallTimeout)
	})
	load := func(ctx context.Context) (aws.Config, error) {
		return config.LoadDefaultConfig(ctx, append(more, config.WithRegion(c.Region), config.WithHTTPClient(client), config.WithLogger(logging.Nop{}),
			config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = renewBefore }))...)
	}
	files := sharedFiles()
	state := look(files) // before the chain reads them, so that no change is missed
	cfg, err := load(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %s", fault.Text(err))
	}
	cfg.Credentials = &rereading{
		load: func(ctx context.Context) (aws.CredentialsProvider, error) {
			cfg, err := load(ctx)
			return cfg.Credentials, err
		},
		files: files, state: state, looked: o.now(), now: o.now, warn: o.warn, current: cfg.Credentials,
	}
	return &bucket{client: s3.NewFromConfig(cfg, c.client), name: c.Bucket, now: o.now}, nil
}

// client sets what the S3 client does in its own way otherwise.
func (c Config) client(o *s3.Options) {
	if c.Endpoint != "" {
		o.BaseEndpoint = aws.String(c.Endpoint)
	}
	o.UsePathStyle = c.PathStyle
	o.Retryer = aws.NopRetryer{}
	// Each part and each whole comes with our own CRC-64/NVME; the SDK would read the bytes again for another.
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	o.Logger = logging.Nop{} // what matters comes back as an error; the SDK would write to stderr in its own way
}

// unsigned leaves the body out of the signature, which would cost a SHA-256 of it. The signed CRC-64/NVME guards it. Nor
// is the server asked first whether it wants the body (Expect: 100-continue), which would cost a round trip for each
// part: a body in memory can be sent again.
func unsigned(o *s3.Options) {
	o.ContinueHeaderThresholdBytes = -1
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}
