package calls

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
)

// Keys are a user's.
type Keys struct{ Access, Secret string }

// S3 is the server, a bucket of it, and its users.
type S3 struct {
	Endpoint, Region, Bucket string
	Writer, Reader, Root     Keys
	Config                   s3store.Config // how objects are created: encryption and lock
}

// Client is the SDK's own, at an endpoint.
func (s S3) Client(endpoint string, k Keys) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(endpoint), Region: s.Region, UsePathStyle: true, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(k.Access, k.Secret, ""),
		// A checksum at the body's end takes TLS, which is not here.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
	})
}

// Lookup is the environment of a program that has the keys.
func (k Keys) Lookup(name string) (string, bool) {
	v := map[string]string{"AWS_ACCESS_KEY_ID": k.Access, "AWS_SECRET_ACCESS_KEY": k.Secret}[name]
	return v, v != ""
}

// part is the least size of a part that is not the last.
const part = 5 << 20

// bed is what calls into S3 work with.
type bed struct {
	S3
	recorder       *Recorder
	writer, sealer *s3store.Store
	reader         *s3store.Reader
	inspector      *s3store.Inspector
	raw            *s3.Client
	run            string // random, in every key
}

// open opens the bucket as the programs do.
func (s S3) open(ctx context.Context) (*bed, error) {
	r, err := Record(s.Endpoint)
	if err != nil {
		return nil, err
	}
	b := &bed{S3: s, recorder: r, run: strings.ToLower(rand.Text()[:10]), raw: s.Client(r.URL, s.Root)}
	c := s.Config
	c.Bucket, c.Region, c.Endpoint, c.PathStyle = s.Bucket, s.Region, r.URL, true
	if c.SSE == "" {
		c.SSE = "none"
	}
	var errs [4]error
	b.writer, errs[0] = s3store.Open(ctx, c, s3store.Environment(s.Writer.Lookup))
	b.sealer, errs[1] = s3store.Open(ctx, c, s3store.Environment(s.Reader.Lookup))
	b.reader, errs[2] = s3store.OpenReader(ctx, c, s3store.Environment(s.Reader.Lookup))
	b.inspector, errs[3] = s3store.OpenInspector(ctx, c, s3store.Environment(s.Reader.Lookup))
	return b, errors.Join(errs[:]...)
}

// Wanted makes the calls that the programs make, as who makes them. Each of them must succeed.
func (s S3) Wanted(ctx context.Context) ([]Call, error) {
	b, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer b.recorder.Close()
	list, err := b.recorder.make(ctx, b.wanted())
	errs := []error{err}
	for _, c := range list {
		if c.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Name, c.Err))
		}
	}
	return list, errors.Join(errs...)
}

func (b *bed) wanted() []step {
	only := func(i Identity) []Identity { return []Identity{i} }
	writer := func(name string, do func(context.Context) error) step {
		return step{name, Writer, only(Writer), true, do}
	}
	reader := func(name string, do func(context.Context) error) step {
		return step{name, Reader, only(Reader), true, do}
	}
	key := func(name string) string { return "recordings/" + b.run + "-" + name + ".wav" }
	return []step{
		writer("store a small recording, with tags", func(ctx context.Context) error { return b.put(ctx, b.writer, key("small")) }),
		writer("store a recording as one stream", func(ctx context.Context) error { return b.stream(ctx, key("stream")) }),
		writer("store a recording in parts, and tag it after", func(ctx context.Context) error { return b.parts(ctx, key("parts"), true) }),
		writer("give an upload up", func(ctx context.Context) error { return b.parts(ctx, key("none"), false) }),
		writer("write a probe", func(ctx context.Context) error { return b.parts(ctx, objstore.ProbeKey, false) }),
		writer("write a sidecar", func(ctx context.Context) error { return b.put(ctx, b.writer, "metadata/"+b.run+".json") }),
		{"look at a recording", Writer, []Identity{Writer, Reader, Glass}, true, func(ctx context.Context) error {
			_, err := b.writer.Stat(ctx, key("small"))
			return err
		}},
		{"look for one that is not there", Writer, []Identity{Writer, Reader, Glass, Admin, Other}, true, func(ctx context.Context) error {
			if _, err := b.writer.Stat(ctx, key("absent")); !errors.Is(err, objstore.ErrNotExist) {
				return fmt.Errorf("got %w, want that it is not there", err)
			}
			return nil
		}},
		{"read a sidecar back", Writer, []Identity{Writer, Reader, Glass}, true, func(ctx context.Context) error {
			_, err := b.writer.ReadSidecar(ctx, "metadata/"+b.run+".json")
			return err
		}},
		writer("tag a recording again", func(ctx context.Context) error { return b.writer.Tag(ctx, key("small"), tags()) }),
		{"list open uploads", Writer, []Identity{Writer, Reader, Glass, Admin, Other}, false, func(ctx context.Context) error {
			_, err := b.Client(b.recorder.URL, b.Writer).ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &b.Bucket})
			return err
		}},
		{"list every version", Reader, []Identity{Reader, Glass, Admin, Other}, true, func(ctx context.Context) error { return b.list(ctx) }},
		{"look at one version", Reader, []Identity{Reader, Glass}, true, func(ctx context.Context) error {
			info, err := b.reader.Stat(ctx, key("small"))
			if err != nil {
				return err
			}
			_, err = b.reader.StatVersion(ctx, key("small"), info.VersionID)
			return err
		}},
		{"read a recording", Reader, []Identity{Writer, Reader, Glass}, true, func(ctx context.Context) error { return b.read(ctx, key("small"), 0, -1) }},
		{"read a part of one", Reader, []Identity{Writer, Reader, Glass}, true, func(ctx context.Context) error { return b.read(ctx, key("small"), 2, 3) }},
		{"read its tags", Reader, []Identity{Reader, Glass, Admin, Other}, true, func(ctx context.Context) error {
			_, err := b.reader.Tags(ctx, key("small"))
			return err
		}},
		{"follow a link to it", Reader, []Identity{Writer, Reader, Glass}, true, func(ctx context.Context) error { return follow(ctx, b.reader, key("small")) }},
		reader("seal the log", func(ctx context.Context) error { return b.seal(ctx, "audit/"+b.run+"/checkpoint") }),
		{"read the log", Reader, []Identity{Reader, Glass}, true, func(ctx context.Context) error { return b.read(ctx, "audit/"+b.run+"/checkpoint", 0, -1) }},
		{"doctor: versions", Reader, []Identity{Reader, Glass, Admin, Other}, true, func(ctx context.Context) error { return second(b.inspector.Versioning(ctx)) }},
		{"doctor: object lock", Reader, []Identity{Reader, Glass, Admin, Other}, true, func(ctx context.Context) error { return second(b.inspector.Lock(ctx)) }},
		{"doctor: encryption", Reader, []Identity{Reader, Glass, Admin, Other}, true, func(ctx context.Context) error { return told(b.inspector.Encryption(ctx)) }},
		{"doctor: lifecycle", Reader, []Identity{Reader, Glass, Admin, Other}, true, func(ctx context.Context) error { return told(b.inspector.Lifecycle(ctx)) }},
		{"doctor: region and clock", Reader, []Identity{Writer, Reader, Glass, Admin, Other}, true, func(ctx context.Context) error { return second(b.inspector.Clock(ctx)) }},
		{"doctor: the policy's status", Reader, []Identity{Reader, Glass, Admin, Other}, false, func(ctx context.Context) error {
			_, err := b.Client(b.recorder.URL, b.Reader).GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: &b.Bucket})
			return err
		}},
		{"doctor: public access", Reader, []Identity{Reader, Glass, Admin, Other}, false, func(ctx context.Context) error {
			// The local server does not know the question; what is sent is the same.
			_, _ = b.Client(b.recorder.URL, b.Reader).GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &b.Bucket})
			return nil
		}},
		reader("doctor: could the log be added to", func(ctx context.Context) error {
			if may, err := b.inspector.MayCreate(ctx, "audit/doctor-probe"); err != nil || !may {
				return fmt.Errorf("it may not: %w", err)
			}
			return nil
		}),
	}
}

// second is the error of a question.
func second[T any](_ T, err error) error { return err }

// told is second, and takes it for an answer that the local server does not know the question.
func told[T any](_ T, err error) error {
	if errors.Is(err, objstore.ErrCannotTell) {
		return nil
	}
	return err
}

func tags() map[string]string { return map[string]string{"recording-id": "rec-1", "source": "default"} }

func (b *bed) put(ctx context.Context, w *s3store.Store, key string) error {
	body := []byte("as small as it gets")
	_, err := w.Put(ctx, key, body, digest.Of(body), objstore.Options{ContentType: "audio/wav", Tags: tags()})
	return err
}

// seal writes as the reconciler's vault does: without tags.
func (b *bed) seal(ctx context.Context, key string) error {
	body := []byte("a checkpoint")
	_, err := b.sealer.Put(ctx, key, body, digest.Of(body), objstore.Options{ContentType: "text/plain"})
	return err
}

func (b *bed) stream(ctx context.Context, key string) error {
	body := bytes.Repeat([]byte("streamed "), 1000)
	u, err := b.writer.Stream(ctx, key, int64(len(body)), objstore.Options{ContentType: "audio/wav", Tags: tags()})
	if err != nil {
		return err
	}
	if _, err := u.Write(body); err != nil {
		return err
	}
	_, err = u.Commit(ctx, digest.Of(body), tags())
	return err
}

// parts sends two parts, and commits them or gives the upload up.
func (b *bed) parts(ctx context.Context, key string, commit bool) error {
	body := bytes.Repeat([]byte{7}, part+1)
	u, err := b.writer.Create(ctx, key, objstore.Options{ContentType: "audio/wav"})
	if err != nil {
		return err
	}
	for n, p := range [][]byte{body[:part], body[part:]} {
		if err := u.Part(ctx, n+1, p, digest.CRC64(p)); err != nil {
			return err
		}
	}
	if !commit {
		return u.Abort(ctx)
	}
	_, err = u.Commit(ctx, digest.Of(body), tags())
	return err
}

func (b *bed) list(ctx context.Context) error {
	for _, err := range b.reader.List(ctx, "recordings/") {
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bed) read(ctx context.Context, key string, off, n int64) error {
	body, err := b.reader.Open(ctx, key, off, n)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body)
	return errors.Join(err, body.Close())
}
