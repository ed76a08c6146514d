package s3store_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
)

// inspect opens a bucket whose server is answer.
func inspect(t *testing.T, answer http.HandlerFunc) *s3store.Inspector {
	t.Helper()
	identity(t, "access", "secret-of-the-test")
	i, err := s3store.OpenInspector(t.Context(), config(t, answer))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// says answers a question about the bucket, by its query, as AWS does.
func says(t *testing.T, question, xml string) *s3store.Inspector {
	t.Helper()
	return inspect(t, func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has(question) {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Content-Type", "application/xml")
		_, _ = io.WriteString(w, xml)
	})
}

// refuses answers everything with an error.
func refuses(t *testing.T, status int, code string) *s3store.Inspector {
	t.Helper()
	return inspect(t, func(w http.ResponseWriter, _ *http.Request) { refusal(w, status, code) })
}

// questions are all that an Inspector is asked about a bucket, and what AWS's permission for each is called.
func questions(i *s3store.Inspector, t *testing.T) map[string]func() (any, error) {
	ctx := t.Context()
	return map[string]func() (any, error){
		"s3:GetBucketVersioning":              func() (any, error) { return i.Versioning(ctx) },
		"s3:GetBucketObjectLockConfiguration": func() (any, error) { return i.Lock(ctx) },
		"s3:GetEncryptionConfiguration":       func() (any, error) { return i.Encryption(ctx) },
		"s3:GetBucketPublicAccessBlock":       func() (any, error) { return i.Exposure(ctx) },
		"s3:GetLifecycleConfiguration":        func() (any, error) { return i.Lifecycle(ctx) },
	}
}

func TestWhatAServerOrAnIdentityCannotTellIsNoAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		code   string
		told   bool // by an error other than ErrCannotTell
	}{
		"not implemented":    {501, "NotImplemented", false},
		"not allowed":        {405, "MethodNotAllowed", false},
		"no right to ask":    {403, "AccessDenied", false},
		"no such identity":   {403, "InvalidAccessKeyId", true},
		"the bucket is gone": {404, "NoSuchBucket", true},
		"away":               {503, "ServiceUnavailable", true},
	} {
		t.Run(name, func(t *testing.T) {
			for permission, ask := range questions(refuses(t, c.status, c.code), t) {
				_, err := ask()
				if err == nil || errors.Is(err, objstore.ErrCannotTell) == c.told {
					t.Errorf("%s: got %v", permission, err)
				}
				if c.code == "AccessDenied" && !strings.Contains(err.Error(), permission) {
					t.Errorf("got %v, want %s to be named", err, permission)
				}
				if c.told && fault.PartOf(err) != fault.Store {
					t.Errorf("%s: no fault of the store: %v", permission, err)
				}
			}
		})
	}
}

func TestABucketsSetupIsReadAsAWSTellsIt(t *testing.T) {
	for name, c := range map[string]struct {
		question, xml string
		ask           func(*s3store.Inspector) (any, error)
		want          any
	}{
		"versions on": {"versioning", `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`, nil, true},
		"suspended":   {"versioning", `<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`, nil, false},
		"never on":    {"versioning", `<VersioningConfiguration/>`, nil, false},
		"a lock for two years": {
			"object-lock", `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Years>2</Years></DefaultRetention></Rule></ObjectLockConfiguration>`,
			nil,
			objstore.Lock{Possible: true, Default: true, Days: 730, Mode: "COMPLIANCE"},
		},
		"a lock where asked for": {"object-lock", `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>`, nil, objstore.Lock{Possible: true}},
		"a key of ours": {
			"encryption", `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>k1</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`,
			nil,
			objstore.Encryption{Default: "aws:kms", Key: "k1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := says(t, c.question, c.xml)
			ask := map[string]func() (any, error){
				"versioning":  func() (any, error) { return i.Versioning(t.Context()) },
				"object-lock": func() (any, error) { return i.Lock(t.Context()) },
				"encryption":  func() (any, error) { return i.Encryption(t.Context()) },
			}[c.question]
			if got, err := ask(); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestWhatIsNotSetUpIsAnAnswer(t *testing.T) {
	if l, err := refuses(t, 404, "ObjectLockConfigurationNotFoundError").Lock(t.Context()); err != nil || l.Possible {
		t.Errorf("lock: %+v, %v", l, err)
	}
	if e, err := refuses(t, 404, "ServerSideEncryptionConfigurationNotFoundError").Encryption(t.Context()); err != nil || e.Default != "" {
		t.Errorf("encryption: %+v, %v", e, err)
	}
	if rules, err := refuses(t, 404, "NoSuchLifecycleConfiguration").Lifecycle(t.Context()); err != nil || len(rules) != 0 {
		t.Errorf("lifecycle: %+v, %v", rules, err)
	}
	if open, err := refuses(t, 404, "NoSuchPublicAccessBlockConfiguration").Exposure(t.Context()); err != nil || len(open) != 1 {
		t.Errorf("exposure: %+v, %v", open, err)
	}
}

func TestLifecycleRulesAreReadWithWhatTheyHangOn(t *testing.T) {
	i := says(t, "lifecycle", `<LifecycleConfiguration>
<Rule><ID>by tag</ID><Status>Enabled</Status><Filter><Tag><Key>queue</Key><Value>test</Value></Tag></Filter><Expiration><Days>30</Days></Expiration></Rule>
<Rule><ID>both</ID><Status>Enabled</Status><Filter><And><Prefix>recordings/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration></Rule>
<Rule><ID>off</ID><Status>Disabled</Status><Filter/><Expiration><Days>1</Days></Expiration></Rule>
<Rule><ID>rest</ID><Status>Enabled</Status><Filter><Prefix>recordings/</Prefix></Filter><Expiration><Days>2555</Days></Expiration>
<NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration><Transition><Days>90</Days><StorageClass>GLACIER</StorageClass></Transition>
<AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>`)
	got, err := i.Lifecycle(t.Context())
	want := []objstore.Rule{
		{Name: "by tag", ByTag: true, Expires: 30},
		{Name: "both", Prefix: "recordings/", ByTag: true, Expires: -1},
		{Name: "rest", Prefix: "recordings/", Expires: 2555, OldExpires: 7, Moves: "GLACIER", Aborts: 3},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestExposureIsWhatIsNotBlockedAndWhetherThePolicyIsPublic(t *testing.T) {
	const block = `<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>` +
		`<BlockPublicPolicy>%s</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`
	server := func(blocked, public string) *s3store.Inspector {
		return inspect(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("policyStatus") {
				fmt.Fprintf(w, `<PolicyStatus><IsPublic>%s</IsPublic></PolicyStatus>`, public)
				return
			}
			fmt.Fprintf(w, block, blocked)
		})
	}
	if open, err := server("true", "true").Exposure(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("all blocked: %v, %v", open, err)
	}
	if open, err := server("false", "false").Exposure(t.Context()); err != nil || len(open) != 1 || open[0] != "BlockPublicPolicy is off" {
		t.Errorf("one open: %v, %v", open, err)
	}
	if open, err := server("false", "TRUE").Exposure(t.Context()); err != nil || len(open) != 2 {
		t.Errorf("and used: %v, %v", open, err)
	}
}

// A server that knows no public access block still shows whether a stranger gets in.
func TestAStrangersListingIsExposureEvenWhereNothingElseIsTold(t *testing.T) {
	i := inspect(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			refusal(w, 501, "NotImplemented")
			return
		}
		_, _ = io.WriteString(w, `<ListBucketResult/>`)
	})
	if open, err := i.Exposure(t.Context()); err != nil || len(open) != 1 {
		t.Errorf("got %v, %v", open, err)
	}
}

func TestRegionAndClockComeFromTheBucketsHeaders(t *testing.T) {
	at := time.Date(2031, 5, 4, 3, 2, 1, 0, time.UTC)
	i := inspect(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", at.Format(http.TimeFormat))
		w.Header().Set("x-amz-bucket-region", "us-west-2")
	})
	if r, err := i.Region(t.Context()); err != nil || r != "us-west-2" {
		t.Errorf("region: %q, %v", r, err)
	}
	if got, err := i.Clock(t.Context()); err != nil || !got.Equal(at) {
		t.Errorf("clock: %v, %v", got, err)
	}
	silent := inspect(t, func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = nil })
	if _, err := silent.Region(t.Context()); !errors.Is(err, objstore.ErrCannotTell) {
		t.Errorf("no region: %v", err)
	}
	if _, err := silent.Clock(t.Context()); !errors.Is(err, objstore.ErrCannotTell) {
		t.Errorf("no date: %v", err)
	}
}

// What AWS answers to requests that can never be carried out, and what that says of the right to make them.
func TestRefusalsTellAMissingRightFromAnythingElse(t *testing.T) {
	put := func(i *s3store.Inspector) (bool, error) { return i.MayCreate(t.Context(), "recordings/x") }
	versions := func(i *s3store.Inspector) (bool, error) { return i.MayDeleteVersions(t.Context()) }
	for name, c := range map[string]struct {
		ask    func(*s3store.Inspector) (bool, error)
		status int
		code   string
		may    bool
		err    error // nil: none; ErrCannotTell; io.EOF stands for a fault
	}{
		"put denied":                     {put, 403, "AccessDenied", false, nil},
		"put came to its checksum":       {put, 400, "BadDigest", true, nil},
		"put came to its other checksum": {put, 400, "XAmzContentChecksumMismatch", true, nil},
		"something is there":             {put, 412, "PreconditionFailed", true, nil},
		"put was not understood":         {put, 400, "InvalidRequest", false, objstore.ErrCannotTell},
		"credentials are wrong":          {put, 403, "SignatureDoesNotMatch", false, io.EOF},
		"slow down":                      {put, 503, "SlowDown", false, io.EOF},
		"it was taken":                   {put, 200, "", true, io.EOF},
		"delete denied":                  {versions, 403, "AccessDenied", false, nil},
		"nothing to delete":              {versions, 204, "", true, nil},
		"no such version":                {versions, 404, "NoSuchVersion", true, nil},
		"the ID is not taken":            {versions, 400, "InvalidArgument", false, objstore.ErrCannotTell},
	} {
		t.Run(name, func(t *testing.T) {
			i := inspect(t, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					t.Error(err)
				}
				refusal(w, c.status, c.code)
			})
			may, err := c.ask(i)
			switch {
			case may != c.may:
				t.Errorf("got %v, %v", may, err)
			case c.err == nil && err != nil, c.err != nil && err == nil:
				t.Errorf("got %v, want %v", err, c.err)
			case c.err != nil && errors.Is(err, objstore.ErrCannotTell) != errors.Is(c.err, objstore.ErrCannotTell):
				t.Errorf("got %v, want %v", err, c.err)
			}
		})
	}
}

// The probes are harmless because of what they send.
func TestProbesCanNeverBeCarriedOut(t *testing.T) {
	var seen []*http.Request
	server := func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r)
		_, _ = io.Copy(io.Discard, r.Body)
		refusal(w, 400, "BadDigest")
	}
	i := inspect(t, server)
	_, _ = i.MayCreate(t.Context(), "recordings/x")
	_, _ = i.MayOverwrite(t.Context(), "recordings/x")
	_, _ = i.MayDeleteVersions(t.Context())
	if len(seen) != 3 {
		t.Fatalf("%d requests", len(seen))
	}
	for n, r := range seen[:2] {
		if r.Header.Get("Content-Md5") != "AAAAAAAAAAAAAAAAAAAAAA==" || r.Header.Get("X-Amz-Checksum-Crc64nvme") != "AAAAAAAAAAE=" {
			t.Errorf("put %d has checksums %q", n, r.Header)
		}
	}
	if seen[0].Header.Get("If-None-Match") != "*" || seen[1].Header.Get("If-None-Match") != "" {
		t.Error("the conditions are the wrong way round")
	}
	if r := seen[2]; r.Method != http.MethodDelete || r.URL.Query().Get("versionId") != "null" || !strings.Contains(r.URL.Path, "/probe/doctor-") {
		t.Errorf("deletes %s", r.URL)
	}
	// Where the server is not AWS, a condition on a delete may be overlooked: it is not sent.
	if _, err := i.MayDelete(t.Context()); !errors.Is(err, objstore.ErrCannotTell) || len(seen) != 3 {
		t.Errorf("got %v after %d requests", err, len(seen))
	}
}

func TestCredentialsOfAnotherEnvironmentAreItsOwn(t *testing.T) {
	identity(t, "mine", "secret-of-the-test") // must not be taken
	file := filepath.Join(t.TempDir(), "credentials")
	text := "[default]\naws_access_key_id = from-file\naws_secret_access_key = s3cret\n[other]\naws_access_key_id = other\naws_secret_access_key = s3cret\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  map[string]string
		mark string // "" for an error
	}{
		"its variables":   {map[string]string{"AWS_ACCESS_KEY_ID": "theirs", "AWS_SECRET_ACCESS_KEY": "s3cret"}, "theirs"},
		"its file":        {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file}, "from-file"},
		"its profile":     {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_PROFILE": "other"}, "other"},
		"nothing in it":   {nil, ""},
		"no such file":    {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file + "x"}, ""},
		"no such profile": {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_PROFILE": "nobody"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			i, err := s3store.OpenInspector(t.Context(), config(t, http.NotFound), s3store.Environment(func(name string) (string, bool) {
				v, ok := c.env[name]
				return v, ok
			}))
			if c.mark == "" {
				if !errors.Is(err, objstore.ErrNoCredentials) || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if id, err := i.Identity(t.Context()); err != nil || id.Mark != c.mark {
				t.Errorf("got %+v, %v", id, err)
			}
		})
	}
}
