package s3store_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/objstoretest"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// identity makes the SDK's chain find these credentials.
func identity(t *testing.T, access, secret string) {
	t.Setenv("AWS_ACCESS_KEY_ID", access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
}

// realConfig is the real server's, at endpoint.
func realConfig(t *testing.T, endpoint string) s3store.Config {
	return s3store.Config{
		Bucket: testenv.Need(t, testenv.S3Bucket), Region: testenv.Need(t, testenv.S3Region), Endpoint: endpoint, PathStyle: true, SSE: "none",
	}
}

// openReal opens the real server through a proxy, as its writer and its reader.
func openReal(t *testing.T) (*s3store.Store, *s3store.Reader, *objstoretest.Proxy) {
	t.Helper()
	proxy := objstoretest.NewProxy(t, testenv.Need(t, testenv.S3Endpoint))
	c := realConfig(t, proxy.URL)
	identity(t, testenv.Need(t, testenv.S3WriterKey), testenv.Need(t, testenv.S3WriterSecret))
	w, err := s3store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	identity(t, testenv.Need(t, testenv.S3ReaderKey), testenv.Need(t, testenv.S3ReaderSecret))
	r, err := s3store.OpenReader(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return w, r, proxy
}

// raw is the SDK's own client with all rights.
func raw(t testing.TB) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(testenv.Need(t, testenv.S3Endpoint)), Region: testenv.Need(t, testenv.S3Region), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(testenv.Need(t, testenv.S3RootKey), testenv.Need(t, testenv.S3RootSecret), ""),
	})
}

func look(t testing.TB, key string) (string, map[string]string) {
	t.Helper()
	bucket, client := aws.String(testenv.Need(t, testenv.S3Bucket)), raw(t)
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string]string{}
	for _, tag := range out.TagSet {
		tags[*tag.Key] = *tag.Value
	}
	return aws.ToString(head.ContentType), tags
}

func TestConformanceOnARealServer(t *testing.T) {
	for _, run := range []func(*testing.T, func(*testing.T) objstoretest.Pair){objstoretest.Run, objstoretest.RunStreams} {
		run(t, func(t *testing.T) objstoretest.Pair {
			w, r, proxy := openReal(t)
			return objstoretest.Pair{Writer: w, Reader: r, Look: look, LoseAnswers: proxy.LoseAnswers}
		})
	}
}

func TestTheAnswerToACommitProvesTheBytes(t *testing.T) {
	w, _, _ := openReal(t)
	body := []byte("proof")
	u, err := w.Create(t.Context(), "recordings/"+t.Name()+rand10(), objstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Part(t.Context(), 1, body, digest.CRC64(body)); err != nil {
		t.Fatal(err)
	}
	info, err := u.Commit(t.Context(), digest.Of(body), nil)
	if err != nil || !info.Same(digest.Of(body)) || info.VersionID == "" {
		t.Errorf("%+v %v", info, err)
	}
}

func TestACommittingCallIsNeverSentTwice(t *testing.T) {
	w, _, proxy := openReal(t)
	body := []byte("once")
	restore := proxy.LoseAnswers()
	defer restore()
	_, _ = w.Put(t.Context(), "recordings/"+t.Name()+rand10(), body, digest.Of(body), objstore.Options{})
	if proxy.Lost() != 1 {
		t.Errorf("sent %d times", proxy.Lost())
	}
}

func TestARefusedIdentityIsDenied(t *testing.T) {
	endpoint := testenv.Need(t, testenv.S3Endpoint)
	body := []byte("denied")
	for name, keys := range map[string][2]string{
		"unknown key":  {"nobody", "nothing"},
		"wrong secret": {testenv.Need(t, testenv.S3WriterKey), "wrong"},
		"reader":       {testenv.Need(t, testenv.S3ReaderKey), testenv.Need(t, testenv.S3ReaderSecret)},
	} {
		t.Run(name, func(t *testing.T) {
			identity(t, keys[0], keys[1])
			w, err := s3store.Open(t.Context(), realConfig(t, endpoint))
			if err != nil {
				t.Fatal(err)
			}
			_, put := w.Put(t.Context(), "recordings/denied"+rand10(), body, digest.Of(body), objstore.Options{})
			_, create := w.Create(t.Context(), "recordings/denied"+rand10(), objstore.Options{})
			for call, err := range map[string]error{"put": put, "create": create} {
				if !fault.Is(err, fault.Denied, fault.Store) || fault.StatusOf(err) != 403 {
					t.Errorf("%s: %v (%v)", call, err, fault.ClassOf(err))
				}
			}
		})
	}
}

func TestAMissingBucketIsDeniedNotAbsent(t *testing.T) {
	endpoint := testenv.Need(t, testenv.S3Endpoint)
	identity(t, testenv.Need(t, testenv.S3RootKey), testenv.Need(t, testenv.S3RootSecret))
	c := realConfig(t, endpoint)
	c.Bucket = "no-such-bucket"
	w, err := s3store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s3store.OpenReader(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, put := w.Put(t.Context(), "recordings/x", nil, digest.Of(nil), objstore.Options{})
	_, create := w.Create(t.Context(), "recordings/x", objstore.Options{})
	_, stat := w.Stat(t.Context(), "recordings/x")
	_, get := r.Open(t.Context(), "recordings/x", 0, -1)
	var list error
	for _, err := range r.List(t.Context(), "") {
		list = err
	}
	for call, err := range map[string]error{"put": put, "create": create, "stat": stat, "open": get, "list": list} {
		if !fault.Is(err, fault.Denied, fault.Store) {
			t.Errorf("%s: %v (%v)", call, err, fault.ClassOf(err))
		}
	}
}

func TestTheWriterCannotDeleteWhatItWrote(t *testing.T) {
	w, _, _ := openReal(t)
	key, body := "recordings/"+t.Name()+rand10(), []byte("kept")
	if _, err := w.Put(t.Context(), key, body, digest.Of(body), objstore.Options{}); err != nil {
		t.Fatal(err)
	}
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String(testenv.Need(t, testenv.S3Endpoint)), Region: testenv.Need(t, testenv.S3Region), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(testenv.Need(t, testenv.S3WriterKey), testenv.Need(t, testenv.S3WriterSecret), ""),
	})
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(w.Bucket()), Key: &key}); err == nil {
		t.Error("deleted")
	}
	if _, err := w.Stat(t.Context(), key); err != nil {
		t.Error(err)
	}
}

func TestVersionsAreListedNewestFirstAndDeleteMarkersAreNot(t *testing.T) {
	w, r, _ := openReal(t)
	ctx, bucket, key := t.Context(), aws.String(w.Bucket()), "recordings/"+t.Name()+rand10()
	if _, err := w.Put(ctx, key, []byte("one"), digest.Of([]byte("one")), objstore.Options{}); err != nil {
		t.Fatal(err)
	}
	client := raw(t)
	second, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: readerOf("three")})
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string, latest bool) {
		t.Helper()
		var sizes []int64
		var latests []bool
		var proven []uint64
		for info, err := range r.List(ctx, key) {
			if err != nil {
				t.Fatal(err)
			}
			sizes, latests = append(sizes, info.Size), append(latests, info.Latest)
			one, err := r.StatVersion(ctx, key, info.VersionID)
			if err != nil || !one.HasCRC64 || one.Size != info.Size || one.VersionID != info.VersionID {
				t.Fatalf("%s: version %s: %+v, %v", when, info.VersionID, one, err)
			}
			proven = append(proven, one.CRC64)
		}
		if !slices.Equal(proven, []uint64{digest.CRC64([]byte("three")), digest.CRC64([]byte("one"))}) {
			t.Errorf("%s: checksums %v", when, proven)
		}
		if len(sizes) != 2 || sizes[0] != 5 || sizes[1] != 3 || latests[0] != latest || latests[1] {
			t.Errorf("%s: sizes %v, latest %v", when, sizes, latests)
		}
	}
	check("two versions", true)
	info, err := r.Stat(ctx, key)
	if err != nil || info.VersionID != aws.ToString(second.VersionId) {
		t.Errorf("stat %+v %v, want version %s", info, err, aws.ToString(second.VersionId))
	}
	if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: &key}); err != nil {
		t.Fatal(err)
	}
	check("behind a delete marker", false)
}

func TestAnUploadOpenedBeforeAnothersPutCannotReplaceIt(t *testing.T) {
	w, _, _ := openReal(t)
	ctx, key, first, second := t.Context(), "recordings/"+t.Name()+rand10(), []byte("first"), []byte("second")
	u, err := w.Create(ctx, key, objstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Part(ctx, 1, second, digest.CRC64(second)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Put(ctx, key, first, digest.Of(first), objstore.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Commit(ctx, digest.Of(second), nil); !errors.Is(err, objstore.ErrUnknown) || fault.StatusOf(err) != 412 {
		t.Errorf("commit: %v", err)
	}
	if err := u.Abort(ctx); err != nil {
		t.Errorf("abort after a refused commit: %v", err)
	}
	if info, err := w.Stat(ctx, key); err != nil || !info.Same(digest.Of(first)) {
		t.Errorf("%+v %v", info, err)
	}
}
