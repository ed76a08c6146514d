package azstore_test

import (
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
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
)

// put and commit are the two committing calls.
func put(ctx context.Context, w *azstore.Store) error {
	_, err := w.Put(ctx, "recordings/k.wav", []byte("x"), digest.Of([]byte("x")), objstore.Options{})
	return err
}

func commit(ctx context.Context, w *azstore.Store) error {
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

func TestRefusalsHaveTheirClass(t *testing.T) {
	for _, c := range []struct {
		status  int
		code    string
		class   fault.Class
		unknown bool // leaves a committing call's outcome open
	}{
		{409, "BlobAlreadyExists", fault.Transient, true},
		{409, "BlobImmutableDueToPolicy", fault.Transient, true},
		{412, "ConditionNotMet", fault.Transient, true},
		{412, "LeaseIdMissing", fault.Transient, true},
		{400, "InvalidBlockList", fault.Transient, true},
		{403, "UnauthorizedBlobOverwrite", fault.Transient, true},
		{403, "AuthenticationFailed", fault.Denied, false},
		{403, "AuthorizationPermissionMismatch", fault.Denied, false},
		{403, "AccountIsDisabled", fault.Denied, false},
		{401, "NoAuthenticationInformation", fault.Denied, false},
		{400, "InvalidAuthenticationInfo", fault.Denied, false},
		{404, "ContainerNotFound", fault.Denied, false},
		{409, "ContainerBeingDeleted", fault.Denied, false},
		{409, "ContainerDisabled", fault.Denied, false},
		{500, "OperationTimedOut", fault.Throttled, false},
		{503, "ServerBusy", fault.Throttled, false},
		{429, "", fault.Throttled, false},
		{500, "InternalError", fault.Unavailable, false},
		{503, "", fault.Unavailable, false},
		{400, "Crc64Mismatch", fault.Corrupt, false},
		{400, "Md5Mismatch", fault.Corrupt, false},
		{400, "InvalidHeaderValue", fault.Permanent, false},
		{413, "RequestBodyTooLarge", fault.Permanent, false},
	} {
		w, _ := fake(t, nil, func(w http.ResponseWriter, r *http.Request) {
			if isBlock(r) {
				w.WriteHeader(http.StatusCreated)
				return
			}
			w.Header().Set("Retry-After", "7")
			refusal(w, c.status, c.code)
		})
		for call, err := range map[string]error{"put": put(t.Context(), w), "commit": commit(t.Context(), w)} {
			if !fault.Is(err, c.class, fault.Store) || errors.Is(err, objstore.ErrUnknown) != c.unknown || fault.StatusOf(err) != c.status || fault.RetryAfterOf(err) != 7*time.Second {
				t.Errorf("%s, %d %s: %v (%v, after %v), want %v, unknown %v", call, c.status, c.code, err, fault.ClassOf(err), fault.RetryAfterOf(err), c.class, c.unknown)
			}
			if strings.Contains(err.Error(), "quoted-signature") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s, %d %s: the service's own text is shown: %v", call, c.status, c.code, err)
			}
		}
	}
}

func TestAnUnreachableStoreIsUnavailableAndNothingIsUnknown(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	w, r := fake(t, func(c *azstore.Config) { c.ServiceURL = server.URL }, nil)
	_, stat := w.Stat(t.Context(), "k")
	_, get := r.Open(t.Context(), "k", 0, -1)
	for call, err := range map[string]error{"put": put(t.Context(), w), "part": commit(t.Context(), w), "stat": stat, "open": get} {
		if !fault.Is(err, fault.Unavailable, fault.Store) || errors.Is(err, objstore.ErrUnknown) {
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

func TestABlockIsSentOnceMoreWhenItsConnectionBreaks(t *testing.T) {
	var tries atomic.Int64
	w, _ := fake(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if isBlock(r) && tries.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusCreated)
	})
	if err := commit(t.Context(), w); err != nil || tries.Load() != 2 {
		t.Errorf("%v after %d tries", err, tries.Load())
	}
}

func TestAListingThatCannotBeTrustedIsAnError(t *testing.T) {
	for name, page := range map[string]string{
		"out of order": "<Blobs><Blob><Name>b</Name></Blob><Blob><Name>a</Name></Blob></Blobs>",
		"breaks off":   "<Prefix></Prefix>",
	} {
		_, r := fake(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			_, _ = io.WriteString(w, "<EnumerationResults>"+page+"<NextMarker/></EnumerationResults>")
		})
		var last error
		for _, err := range r.List(t.Context(), "") {
			last = err
		}
		if !fault.Is(last, fault.Transient, fault.Store) {
			t.Errorf("%s: %v", name, last)
		}
	}
}

func TestVersionsAreListedNewestFirst(t *testing.T) {
	blob := func(name, version, current string) string {
		return "<Blob><Name>" + name + "</Name><VersionId>" + version + "</VersionId>" + current +
			"<Properties><Content-Length>1</Content-Length><Etag>e</Etag></Properties></Blob>"
	}
	const latest = "<IsCurrentVersion>true</IsCurrentVersion>"
	_, r := fake(t, nil, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Get("include") != "versions" {
			t.Errorf("asked for %v", req.URL.Query())
		}
		w.Header().Set("Content-Type", "application/xml")
		page, next := blob("a", "1", "")+blob("a", "2", ""), "more"
		if req.URL.Query().Get("marker") == "more" {
			page, next = blob("a", "3", latest)+blob("b", "1", latest), ""
		}
		_, _ = io.WriteString(w, "<EnumerationResults><Blobs>"+page+"</Blobs><NextMarker>"+next+"</NextMarker></EnumerationResults>")
	})
	var got []string
	for info, err := range r.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		name := info.Key + info.VersionID
		if info.Latest {
			name += "!"
		}
		got = append(got, name)
	}
	if s := strings.Join(got, " "); s != "a3! a2 a1 b1!" {
		t.Errorf("listed %s", s)
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
