package s3store

import (
	"context"
	"errors"
	"io"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

var _ objstore.Streamer = (*Store)(nil)

// errGivenUp ends a request whose object is not wanted any more.
var errGivenUp = errors.New("the upload was given up")

// stream is one conditional PUT on its way. Its body is aws-chunked; the end, which carries the object's last byte and the
// checksum, is sent by Commit. A body without its end is no object, not even for a server that counts bytes and looks no
// further.
type stream struct {
	store   *Store
	key     string
	size    int64
	options objstore.Options

	body   *io.PipeWriter
	sent   int64  // last included
	last   []byte // held back
	cancel context.CancelFunc

	answered chan struct{} // closed once these are set:
	out      *s3.PutObjectOutput
	err      error
}

// Stream implements objstore.Streamer.
func (s *Store) Stream(ctx context.Context, key string, size int64, o objstore.Options) (objstore.Stream, error) {
	op := "stream " + key
	if err := ctx.Err(); err != nil {
		return nil, s.fail(op, err)
	}
	if size <= 0 || size > objstore.MaxStream {
		return nil, objstore.Refuse(fault.Permanent, op, "one request takes 1 to %d bytes, not %d", int64(objstore.MaxStream), size)
	}
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	u := &stream{store: s, key: key, size: size, options: o, body: w, cancel: cancel, answered: make(chan struct{})}
	go u.put(ctx, r)
	return u, nil
}

// put runs the request until it is answered.
func (u *stream) put(ctx context.Context, r *io.PipeReader) {
	defer close(u.answered)
	s := u.store
	u.out, u.err = s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.name, Key: &u.key, Body: &chunked{from: r, left: u.size}, ContentLength: aws.Int64(encodedLength(u.size)),
		ContentEncoding: aws.String("aws-chunked"), ContentType: optional(u.options.ContentType), Tagging: tagging(u.options.Tags),
		IfNoneMatch: aws.String("*"), ServerSideEncryption: s.config.sse(), SSEKMSKeyId: optional(s.config.KMSKeyID),
		ObjectLockMode: s.config.lockMode(), ObjectLockRetainUntilDate: s.config.lockedUntil(s.now()),
	}, trailing(u.size))
	_ = r.CloseWithError(errGivenUp) // ends a Write that waits
}

// trailing makes a request announce that its checksum comes at the end, and leaves the body out of the signature.
func trailing(size int64) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions,
			smithyhttp.SetHeaderValue("X-Amz-Decoded-Content-Length", strconv.FormatInt(size, 10)),
			smithyhttp.SetHeaderValue("X-Amz-Trailer", checksumTrailer),
			smithyhttp.SetHeaderValue("X-Amz-Sdk-Checksum-Algorithm", "CRC64NVME"), // or a PUT with object lock is refused
			func(stack *middleware.Stack) error {
				_, err := stack.Finalize.Swap((*v4.ComputePayloadSHA256)(nil).ID(), unsignedTrailer())
				return err
			})
	}
}

// unsignedTrailer says in the signature that the body, and the trailer after it, are not signed.
func unsignedTrailer() middleware.FinalizeMiddleware {
	return middleware.FinalizeMiddlewareFunc((*v4.ComputePayloadSHA256)(nil).ID(),
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			return next.HandleFinalize(v4.SetPayloadHash(ctx, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), in)
		})
}

// Write implements objstore.Stream.
func (u *stream) Write(p []byte) (int, error) {
	op := "send " + u.key
	if u.sent+int64(len(p)) > u.size {
		return 0, objstore.Refuse(fault.Corrupt, op, "more than the announced %d bytes", u.size)
	}
	u.sent += int64(len(p))
	now := p
	if u.sent == u.size && len(p) > 0 {
		now, u.last = p[:len(p)-1], []byte{p[len(p)-1]}
	}
	if _, err := u.body.Write(now); err == nil {
		return len(p), nil
	}
	<-u.answered
	switch _, answer := answered(u.err); {
	case u.err == nil:
		return 0, objstore.Refuse(fault.Unavailable, op, "the store answered before it had all")
	case answer && leavesOpen(u.err):
		return len(p), nil // somebody's object is there: Commit says so, and what is read can be compared with it
	}
	return 0, u.store.fail(op, u.err) // without its end the body is no object, so nothing is open
}

// Commit implements objstore.Stream: it sends the end of the body. The server computes the checksum of what it got,
// refuses it if it is not d's, and names it in its answer.
func (u *stream) Commit(ctx context.Context, d digest.Digest, tags map[string]string) (objstore.Info, error) {
	op := "commit " + u.key
	defer u.cancel()
	if err := ctx.Err(); err != nil {
		return objstore.Info{}, u.store.fail(op, err)
	}
	if d.Size != u.size || u.sent != u.size {
		return objstore.Info{}, objstore.Refuse(fault.Corrupt, op, "the digest is of %d bytes, %d were announced and %d sent", d.Size, u.size, u.sent)
	}
	_, _ = io.WriteString(u.body, string(u.last)+ending(d.CRC64)) // where it fails the request has ended, and says why
	_ = u.body.Close()
	select {
	case <-u.answered:
	case <-ctx.Done():
		u.cancel()
		<-u.answered
	}
	if u.err != nil {
		return objstore.Info{}, u.store.unsure(op, u.err)
	}
	info := proven(objstore.Info{
		Key: u.key, Size: d.Size, ETag: unquote(u.out.ETag), VersionID: aws.ToString(u.out.VersionId), ContentType: u.options.ContentType, Latest: true,
	}, u.out.ChecksumCRC64NVME)
	return info, u.store.retag(ctx, u.key, u.options.Tags, tags)
}

// Abort implements objstore.Stream. The server throws a body away that has no end.
func (u *stream) Abort(context.Context) error {
	_ = u.body.CloseWithError(errGivenUp)
	u.cancel()
	<-u.answered
	return nil
}
