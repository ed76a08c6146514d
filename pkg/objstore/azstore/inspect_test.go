package azstore_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/settings"
)

// inspect opens a container whose service is answer.
func inspect(t *testing.T, answer http.HandlerFunc) *azstore.Inspector {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return inspector(t, azstore.Config{ServiceURL: server.URL, Container: "recordings", AccountName: "a", AccountKey: settings.NewSecret("a2V5")})
}

func TestAContainersSetupIsReadAsAzureTellsIt(t *testing.T) {
	i := inspect(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("restype") != "container" {
			t.Errorf("asked for %s", r.URL)
		}
		for name, value := range map[string]string{
			"x-ms-immutable-storage-with-versioning-enabled": "true", "x-ms-has-immutability-policy": "true", "x-ms-default-encryption-scope": "ours",
			"x-ms-deny-encryption-scope-override": "true",
		} {
			w.Header().Set(name, value)
		}
	})
	if l, err := i.Lock(t.Context()); err != nil || !l.Possible || !l.Default || l.Days != 0 {
		t.Errorf("lock: %+v, %v", l, err)
	}
	if e, err := i.Encryption(t.Context()); err != nil || e.Key != "ours" || !e.Forced {
		t.Errorf("encryption: %+v, %v", e, err)
	}
	if on, err := i.Versioning(t.Context()); err != nil || !on {
		t.Errorf("versioning: %v, %v", on, err)
	}
}

func TestVersionsShowInTheListing(t *testing.T) {
	i := inspect(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("comp") != "list" {
			return // properties that say nothing
		}
		w.Header().Set("Content-Type", "application/xml")
		_, _ = io.WriteString(w, `<?xml version="1.0"?><EnumerationResults ServiceEndpoint="x" ContainerName="recordings"><Blobs><Blob><Name>a</Name>`+
			`<VersionId>2026-01-01T00:00:00.0000000Z</VersionId><Properties/></Blob></Blobs><NextMarker/></EnumerationResults>`)
	})
	if on, err := i.Versioning(t.Context()); err != nil || !on {
		t.Errorf("got %v, %v", on, err)
	}
}

func TestWhatASignatureMayNotAskCannotBeTold(t *testing.T) {
	i := inspect(t, func(w http.ResponseWriter, _ *http.Request) { refusal(w, 403, "AuthorizationPermissionMismatch") })
	if _, err := i.Lock(t.Context()); !errors.Is(err, objstore.ErrCannotTell) {
		t.Errorf("lock: %v", err)
	}
	i = inspect(t, func(w http.ResponseWriter, _ *http.Request) { refusal(w, 403, "AuthenticationFailed") })
	if _, err := i.Lock(t.Context()); err == nil || errors.Is(err, objstore.ErrCannotTell) {
		t.Errorf("refused credentials: %v", err)
	}
}

func TestAStrangerWhoIsToldWhatThereIsIsExposure(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		code   string
		open   int
		fails  bool
	}{
		"private":               {404, "ResourceNotFound", 0, false},
		"account forbids it":    {409, "PublicAccessNotPermitted", 0, false},
		"open":                  {404, "BlobNotFound", 1, false},
		"open, and it is there": {200, "", 1, false},
		"away":                  {503, "ServerBusy", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			i := inspect(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" {
					t.Error("the stranger has credentials")
				}
				refusal(w, c.status, c.code)
			})
			if open, err := i.Exposure(t.Context()); len(open) != c.open || (err != nil) != c.fails {
				t.Errorf("got %v, %v", open, err)
			}
		})
	}
}

func TestRefusalsTellAMissingRightFromAnythingElse(t *testing.T) {
	put := func(i *azstore.Inspector) (bool, error) { return i.MayCreate(t.Context(), "recordings/x") }
	remove := func(i *azstore.Inspector) (bool, error) { return i.MayDelete(t.Context()) }
	versions := func(i *azstore.Inspector) (bool, error) { return i.MayDeleteVersions(t.Context()) }
	for name, c := range map[string]struct {
		ask    func(*azstore.Inspector) (bool, error)
		status int
		code   string
		may    bool
		fails  bool
	}{
		"put denied":             {put, 403, "AuthorizationPermissionMismatch", false, false},
		"put came to its MD5":    {put, 400, "Md5Mismatch", true, false},
		"a blob is there":        {put, 409, "BlobAlreadyExists", true, false},
		"put was not understood": {put, 400, "InvalidHeaderValue", false, true},
		"credentials are wrong":  {put, 403, "AuthenticationFailed", false, true},
		"busy":                   {put, 503, "ServerBusy", false, true},
		"it was taken":           {put, 201, "", true, true},
		"delete denied":          {remove, 403, "AuthorizationPermissionMismatch", false, false},
		"nothing to delete":      {remove, 404, "BlobNotFound", true, false},
		"no version to delete":   {versions, 404, "BlobNotFound", true, false},
		"no right to versions":   {versions, 403, "AuthorizationPermissionMismatch", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			i := inspect(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut && (r.Header.Get("Content-Md5") != "AAAAAAAAAAAAAAAAAAAAAA==" || r.Header.Get("If-None-Match") != "*") {
					t.Errorf("could be carried out: %v", r.Header)
				}
				if r.Method == http.MethodDelete && !strings.Contains(r.URL.Path, "/probe/doctor-") {
					t.Errorf("deletes %s", r.URL)
				}
				_, _ = io.Copy(io.Discard, r.Body)
				refusal(w, c.status, c.code)
			})
			if may, err := c.ask(i); may != c.may || (err != nil) != c.fails {
				t.Errorf("got %v, %v", may, err)
			}
		})
	}
}

func TestASignatureSaysWhatItPermitsAndUntilWhen(t *testing.T) {
	c := azstore.Config{
		ServiceURL: "https://a.blob.example.com", Container: "recordings",
		SASToken: settings.NewSecret("?sv=2024-11-04&sr=c&sp=rcwt&se=2030-01-02T03:04:05Z&sig=c2VjcmV0"),
	}
	id, err := inspector(t, c).Identity(t.Context())
	if err != nil || id.Rights != "rcwt" || !id.Expires.Equal(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)) || id.Owner || len(id.Mark) != 8 {
		t.Errorf("got %+v, %v", id, err)
	}
	if may, err := inspector(t, c).MayOverwrite(t.Context(), "x"); err != nil || !may {
		t.Errorf("got %v, %v", may, err)
	}
	c.SASToken = settings.NewSecret("sv=2024-11-04&sr=c&si=policy&sig=b3RoZXI=")
	other, err := inspector(t, c).Identity(t.Context())
	if err != nil || other.Rights != "" || !other.Expires.IsZero() || other.Mark == id.Mark {
		t.Errorf("by a stored policy: got %+v, %v", other, err)
	}
	if _, err := inspector(t, c).MayOverwrite(t.Context(), "x"); !errors.Is(err, objstore.ErrCannotTell) {
		t.Errorf("got %v", err)
	}
}
