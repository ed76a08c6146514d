package azstore_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"github.com/twinreel/twinreel/pkg/digest"
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/objstore/objstoretest"
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/pkg/testenv"
)

func random() string { return "-" + rand.Text()[:10] }

// realConfig is the real server's, at the service URL, with the account's key.
func realConfig(t testing.TB, service string) azstore.Config {
	return azstore.Config{
		ServiceURL: service, Container: testenv.Need(t, testenv.AzureContainer), AccountName: testenv.Need(t, testenv.AzureAccountName),
		AccountKey: settings.NewSecret(testenv.Need(t, testenv.AzureAccountKey)),
	}
}

// signed is realConfig with a signature for these permissions instead of the key.
func signed(t testing.TB, service string, may sas.ContainerPermissions) azstore.Config {
	c := realConfig(t, service)
	cred, err := container.NewSharedKeyCredential(c.AccountName, c.AccountKey.Get())
	if err != nil {
		t.Fatal(err)
	}
	q, err := sas.BlobSignatureValues{
		Protocol: sas.ProtocolHTTPSandHTTP, ContainerName: c.Container, Permissions: may.String(),
		StartTime: time.Now().Add(-time.Minute).UTC(), ExpiryTime: time.Now().Add(time.Hour).UTC(),
	}.SignWithSharedKey(cred)
	if err != nil {
		t.Fatal(err)
	}
	c.AccountName, c.AccountKey, c.SASToken = "", settings.Secret{}, settings.NewSecret("?"+q.Encode())
	return c
}

func open(t testing.TB, c azstore.Config) (*azstore.Store, *azstore.Reader) {
	t.Helper()
	w, err := azstore.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r, err := azstore.OpenReader(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return w, r
}

// raw is the SDK's own client with all rights.
func raw(t testing.TB) *container.Client {
	c := realConfig(t, testenv.Need(t, testenv.AzureServiceURL))
	cred, err := container.NewSharedKeyCredential(c.AccountName, c.AccountKey.Get())
	if err != nil {
		t.Fatal(err)
	}
	client, err := container.NewClientWithSharedKeyCredential(c.ServiceURL+"/"+c.Container, cred, nil)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func look(t testing.TB, key string) (string, map[string]string) {
	t.Helper()
	blob := raw(t).NewBlobClient(key)
	head, err := blob.GetProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := blob.GetTags(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string]string{}
	for _, tag := range out.BlobTagSet {
		tags[*tag.Key] = *tag.Value
	}
	return *head.ContentType, tags
}

func TestConformanceOnARealServer(t *testing.T) {
	for name, config := range map[string]func(t *testing.T, service string) azstore.Config{
		"account key": func(t *testing.T, service string) azstore.Config { return realConfig(t, service) },
		"signature": func(t *testing.T, service string) azstore.Config {
			return signed(t, service, sas.ContainerPermissions{Read: true, Create: true, Write: true, Tag: true, List: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			objstoretest.Run(t, func(t *testing.T) objstoretest.Pair {
				proxy := objstoretest.NewProxy(t, testenv.Need(t, testenv.AzureServiceURL))
				w, r := open(t, config(t, proxy.URL))
				return objstoretest.Pair{Writer: w, Reader: r, Look: look, LoseAnswers: proxy.LoseAnswers, NoLinks: name == "signature"}
			})
		})
	}
}

func TestACommittingCallIsNeverSentTwice(t *testing.T) {
	proxy := objstoretest.NewProxy(t, testenv.Need(t, testenv.AzureServiceURL))
	w, _ := open(t, realConfig(t, proxy.URL))
	restore := proxy.LoseAnswers()
	defer restore()
	_, _ = w.Put(t.Context(), "recordings/once"+random(), []byte("once"), digest.Of([]byte("once")), objstore.Options{})
	if proxy.Lost() != 1 {
		t.Errorf("sent %d times", proxy.Lost())
	}
}

func TestTheAnswersProveTheBytes(t *testing.T) {
	w, _ := open(t, realConfig(t, testenv.Need(t, testenv.AzureServiceURL)))
	body := []byte("proof")
	put, err := w.Put(t.Context(), "recordings/put"+random(), body, digest.Of(body), objstore.Options{})
	if err != nil || !put.Same(digest.Of(body)) || put.Modified.IsZero() {
		t.Errorf("put: %+v %v", put, err)
	}
	u, err := w.Create(t.Context(), "recordings/commit"+random(), objstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for n, part := range []string{"pr", "o", "of"} {
		if err := u.Part(t.Context(), n+1, []byte(part), digest.CRC64([]byte(part))); err != nil {
			t.Fatal(err)
		}
	}
	commit, err := u.Commit(t.Context(), digest.Of(body), nil)
	if err != nil || !commit.Same(digest.Of(body)) {
		t.Errorf("commit: %+v %v", commit, err)
	}
}

func TestARefusedIdentityIsDenied(t *testing.T) {
	service := testenv.Need(t, testenv.AzureServiceURL)
	wrong := realConfig(t, service)
	wrong.AccountKey = settings.NewSecret("d3Jvbmcga2V5")
	forged := signed(t, service, sas.ContainerPermissions{Read: true, Create: true, Write: true})
	forged.SASToken = settings.NewSecret(strings.Replace(forged.SASToken.Get(), "sig=", "sig=x", 1))
	for name, c := range map[string]azstore.Config{
		"wrong key": wrong, "forged signature": forged, "reader": signed(t, service, sas.ContainerPermissions{Read: true, List: true}),
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := open(t, c)
			_, put := w.Put(t.Context(), "recordings/denied"+random(), nil, digest.Of(nil), objstore.Options{})
			u, err := w.Create(t.Context(), "recordings/denied"+random(), objstore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for call, err := range map[string]error{"put": put, "part": u.Part(t.Context(), 1, []byte("x"), digest.CRC64([]byte("x")))} {
				if !fault.Is(err, fault.Denied, fault.Store) || fault.StatusOf(err) != 403 {
					t.Errorf("%s: %v (%v)", call, err, fault.ClassOf(err))
				}
				if s := c.SASToken.Get(); s != "" && strings.Contains(err.Error(), "sig") {
					t.Errorf("%s shows the signature: %v", call, err)
				}
			}
		})
	}
}

func TestAMissingContainerIsDeniedNotAbsent(t *testing.T) {
	c := realConfig(t, testenv.Need(t, testenv.AzureServiceURL))
	c.Container = "no-such-container"
	w, r := open(t, c)
	_, put := w.Put(t.Context(), "recordings/x", nil, digest.Of(nil), objstore.Options{})
	_, stat := w.Stat(t.Context(), "recordings/x")
	_, get := r.Open(t.Context(), "recordings/x", 0, -1)
	var list error
	for _, err := range r.List(t.Context(), "") {
		list = err
	}
	for call, err := range map[string]error{"put": put, "stat": stat, "open": get, "list": list} {
		if !fault.Is(err, fault.Denied, fault.Store) {
			t.Errorf("%s: %v (%v)", call, err, fault.ClassOf(err))
		}
	}
}

func TestAForeignBlobHasNoChecksum(t *testing.T) {
	w, _ := open(t, realConfig(t, testenv.Need(t, testenv.AzureServiceURL)))
	key := "recordings/foreign" + random()
	if _, err := raw(t).NewBlockBlobClient(key).Upload(t.Context(), streaming.NopCloser(strings.NewReader("foreign")), nil); err != nil {
		t.Fatal(err)
	}
	info, err := w.Stat(t.Context(), key)
	if err != nil || info.HasCRC64 || info.Size != 7 {
		t.Errorf("%+v %v", info, err)
	}
}

func TestTwoAttemptsAreNeverSpliced(t *testing.T) {
	w, r := open(t, realConfig(t, testenv.Need(t, testenv.AzureServiceURL)))
	key, ctx := "recordings/spliced"+random(), t.Context()
	one, err := w.Create(ctx, key, objstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := w.Create(ctx, key, objstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	send := func(u objstore.Upload, n int, s string) {
		t.Helper()
		if err := u.Part(ctx, n, []byte(s), digest.CRC64([]byte(s))); err != nil {
			t.Fatal(err)
		}
	}
	send(one, 1, "first ")
	send(two, 1, "FIRST ")
	send(two, 2, "SECOND")
	send(one, 2, "second")
	if _, err := one.Commit(ctx, digest.Of([]byte("first second")), nil); err != nil {
		t.Fatal(err)
	}
	got, err := r.Open(ctx, key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := objstore.ReadSmall(got)
	if err != nil || string(b) != "first second" {
		t.Errorf("%q %v", b, err)
	}
}
