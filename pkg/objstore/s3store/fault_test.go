package s3store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
)

// put, commit and stream are the three committing calls.
func put(ctx context.Context, w *s3store.Store) error {
	_, err := w.Put(ctx, "recordings/k.wav", []byte("x"), digest.Of([]byte("x")), objstore.Options{})
	return err
}

func commit(ctx context.Context, w *s3store.Store) error {
	u, err := w.Create(ctx, "recordings/k.wav", objstore.Options{})
	if err != nil {
		return err
	}
	if err := u.Part(ctx, 1, []byte("x"), digest.CRC64([]byte("x"))); err != nil {
		return err
	}
	_, err = u.Commit(ctx, digest.Of([]byte("x")), nil)
	return err
}

func stream(ctx context.Context, w *s3store.Store) error {
	body := bytes.Repeat([]byte("x"), 1<<20)
	s, err := w.Stream(ctx, "recordings/k.wav", int64(len(body)), objstore.Options{})
	if err != nil {
		return err
	}
	if _, err := s.Write(body); err != nil {
		return errors.Join(err, s.Abort(ctx))
	}
	if _, err = s.Commit(ctx, digest.Of(body), nil); err != nil {
		return errors.Join(err, s.Abort(ctx))
	}
	return nil
}

func TestRefusalsHaveTheirClass(t *testing.T) {
	for _, c := range []struct {
		status  int
		code    string
		class   fault.Class
		unknown bool // leaves a committing call's outcome open
	}{
		{409, "ConditionalRequestConflict", fault.Transient, true},
		{409, "OperationAborted", fault.Transient, true},
		{412, "PreconditionFailed", fault.Transient, true},
		{404, "NoSuchUpload", fault.Transient, true},
		{400, "InvalidPart", fault.Transient, true},
		{403, "AccessDenied", fault.Denied, false},
		{403, "SignatureDoesNotMatch", fault.Denied, false},
		{403, "", fault.Denied, false},
		{401, "", fault.Denied, false},
		{400, "ExpiredToken", fault.Denied, false},
		{400, "AuthorizationHeaderMalformed", fault.Denied, false},
		{301, "PermanentRedirect", fault.Denied, false},
		{404, "NoSuchBucket", fault.Denied, false},
		{400, "KMS.DisabledException", fault.Denied, false},
		{400, "KMS.ThrottlingException", fault.Throttled, false},
		{503, "SlowDown", fault.Throttled, false},
		{429, "", fault.Throttled, false},
		{429, "TooManyRequests", fault.Throttled, false},
		{500, "InternalError", fault.Unavailable, false},
		{500, "KMS.InternalException", fault.Unavailable, false},
		{502, "", fault.Unavailable, false},
		{503, "ServiceUnavailable", fault.Unavailable, false},
		{507, "", fault.Unavailable, false},
		{400, "RequestTimeout", fault.Unavailable, false},
		{400, "BadDigest", fault.Corrupt, false},
		{400, "InvalidRequest", fault.Permanent, false},
		{400, "EntityTooSmall", fault.Permanent, false},
		{405, "MethodNotAllowed", fault.Permanent, false},
	} {
		w, _ := fake(t, nil, func(w http.ResponseWriter, r *http.Request) {
			if !opening(w, r) {
				w.Header().Set("Retry-After", "7")
				refusal(w, c.status, c.code)
			}
		})
		for call, err := range map[string]error{"put": put(t.Context(), w), "commit": commit(t.Context(), w), "stream": stream(t.Context(), w)} {
			if !fault.Is(err, c.class, fault.Store) || errors.Is(err, objstore.ErrUnknown) != c.unknown || fault.StatusOf(err) != c.status || fault.RetryAfterOf(err) != 7*time.Second {
				t.Errorf("%s, %d %s: %v (%v, after %v), want %v, unknown %v", call, c.status, c.code, err, fault.ClassOf(err), fault.RetryAfterOf(err), c.class, c.unknown)
			}
		}
	}
}

func TestACommitThatAnswers200AndThenAnErrorHasFailed(t *testing.T) {
	w, _ := fake(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if !opening(w, r) {
			refusal(w, http.StatusOK, "InternalError")
		}
	})
	if err := commit(t.Context(), w); !fault.Is(err, fault.Unavailable, fault.Store) || errors.Is(err, objstore.ErrUnknown) {
		t.Errorf("%v (%v)", err, fault.ClassOf(err))
	}
}

func TestAnAnswerThatBreaksOffIsUnknown(t *testing.T) {
	w, _ := fake(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if !opening(w, r) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "<CompleteMultipartUploadResult><ETag>")
		}
	})
	if err := commit(t.Context(), w); !errors.Is(err, objstore.ErrUnknown) || !fault.Is(err, fault.Unavailable, fault.Store) {
		t.Errorf("%v (%v)", err, fault.ClassOf(err))
	}
}

func TestAnUnreachableStoreIsUnavailableAndNothingIsUnknown(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	w, r := fake(t, func(c *s3store.Config) { c.Endpoint = server.URL }, nil)
	_, stat := w.Stat(t.Context(), "k")
	_, get := r.Open(t.Context(), "k", 0, -1)
	for call, err := range map[string]error{"put": put(t.Context(), w), "create": commit(t.Context(), w), "stream": stream(t.Context(), w), "stat": stat, "open": get, "abandon": w.Abandon(t.Context(), "k", "u")} {
		if !fault.Is(err, fault.Unavailable, fault.Store) || errors.Is(err, objstore.ErrUnknown) {
			t.Errorf("%s: %v (%v)", call, err, fault.ClassOf(err))
		}
	}
}

func TestWithoutCredentialsTheStoreIsDenied(t *testing.T) {
	identity(t, "", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	bare, err := s3store.Open(t.Context(), s3store.Config{Bucket: "b", Region: "eu-central-1", Endpoint: "http://127.0.0.1:1", PathStyle: true, SSE: "none"})
	if err != nil {
		t.Fatal(err)
	}
	for call, err := range map[string]error{"put": put(t.Context(), bare), "stream": stream(t.Context(), bare)} {
		if !fault.Is(err, fault.Denied, fault.Store) || errors.Is(err, objstore.ErrUnknown) {
			t.Errorf("%s: %v (%v)", call, err, fault.ClassOf(err))
		}
	}
}

func TestATimeOutOfACommitIsUnknown(t *testing.T) {
	release := make(chan struct{})
	w, _ := fake(t, nil, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-release
	})
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := put(ctx, w); !errors.Is(err, objstore.ErrUnknown) || !fault.Is(err, fault.Unavailable, fault.Store) {
		t.Errorf("%v (%v)", err, fault.ClassOf(err))
	}
}

func TestAPartIsSentOnceMoreWhenItsConnectionBreaks(t *testing.T) {
	var tries atomic.Int64
	w, _ := fake(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("partNumber") && tries.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		if !opening(w, r) {
			_, _ = io.WriteString(w, "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")
		}
	})
	if err := commit(t.Context(), w); err != nil || tries.Load() != 2 {
		t.Errorf("%v after %d tries", err, tries.Load())
	}
}

func TestAMultipartChecksumOfChecksumsIsNoProof(t *testing.T) {
	w, _ := fake(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amz-Checksum-Crc64nvme", digest.EncodeCRC64(1))
		w.Header().Set("X-Amz-Checksum-Type", "COMPOSITE")
	})
	if info, err := w.Stat(t.Context(), "k"); err != nil || info.HasCRC64 {
		t.Errorf("%+v %v", info, err)
	}
}

func TestAListingThatCannotBeTrustedIsAnError(t *testing.T) {
	version := func(key string) string {
		return "<Version><Key>" + key + "</Key><VersionId>1</VersionId><IsLatest>true</IsLatest><Size>1</Size></Version>"
	}
	for name, page := range map[string]string{
		"out of order":    version("b") + version("a"),
		"breaks off":      "<IsTruncated>true</IsTruncated>" + version("a"),
		"runs in circles": "<IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker>" + version("a"),
	} {
		_, r := fake(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<ListVersionsResult>"+page+"</ListVersionsResult>")
		})
		var last error
		n := 0
		for _, err := range r.List(t.Context(), "") {
			if n++; n > 10 {
				break
			}
			last = err
		}
		if !fault.Is(last, fault.Transient, fault.Store) || n > 10 {
			t.Errorf("%s: %v after %d", name, last, n)
		}
	}
}

func TestABodyThatBreaksOffIsAFaultOfTheStore(t *testing.T) {
	_, r := fake(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "short")
	})
	body, err := r.Open(t.Context(), "k", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(body)
	if string(b) != "short" || !fault.Is(err, fault.Unavailable, fault.Store) || !strings.Contains(err.Error(), "read k") {
		t.Errorf("%q %v", b, err)
	}
}

func TestAStoreThatThrottlesIsNotAskedForTagsAgain(t *testing.T) {
	for code, want := range map[string]int64{"SlowDown": 1, "InternalError": 3} {
		var asked atomic.Int64
		w, _ := fake(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			refusal(w, http.StatusServiceUnavailable, code)
		})
		if err := w.Tag(t.Context(), "recordings/r.wav", map[string]string{"a": "1"}); err == nil {
			t.Errorf("%s: no error", code)
		}
		if asked.Load() != want {
			t.Errorf("%s: asked %d times, want %d", code, asked.Load(), want)
		}
	}
}
