package s3store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/testenv"
)

// inspectReal looks at the real bucket by the credentials in those variables.
func inspectReal(t *testing.T, access, secret string) *s3store.Inspector {
	t.Helper()
	identity(t, testenv.Need(t, access), testenv.Need(t, secret))
	i, err := s3store.OpenInspector(t.Context(), realConfig(t, testenv.Need(t, testenv.S3Endpoint)))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestARealServerTellsWhatEachIdentityMayDoAndKeepsNothingOfTheQuestions(t *testing.T) {
	folder := "doctor" + rand10() + "/"
	for name, c := range map[string]struct {
		access, secret                    string
		audit, create, overwrite, destroy bool
	}{
		"reader": {testenv.S3ReaderKey, testenv.S3ReaderSecret, true, false, false, false},
		"writer": {testenv.S3WriterKey, testenv.S3WriterSecret, true, true, true, false},
		"root":   {testenv.S3RootKey, testenv.S3RootSecret, true, true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			i := inspectReal(t, c.access, c.secret)
			for question, one := range map[string]struct {
				ask  func() (bool, error)
				want bool
			}{
				"create below audit/": {func() (bool, error) { return i.MayCreate(t.Context(), "audit/"+folder+"x") }, c.audit},
				"create":              {func() (bool, error) { return i.MayCreate(t.Context(), "recordings/"+folder+"x") }, c.create},
				"overwrite":           {func() (bool, error) { return i.MayOverwrite(t.Context(), "recordings/"+folder+"x") }, c.overwrite},
				"delete versions":     {func() (bool, error) { return i.MayDeleteVersions(t.Context()) }, c.destroy},
			} {
				if got, err := one.ask(); err != nil || got != one.want {
					t.Errorf("may %s: got %v, %v, want %v", question, got, err, one.want)
				}
			}
			if _, err := i.MayDelete(t.Context()); !errors.Is(err, objstore.ErrCannotTell) {
				t.Errorf("may delete: got %v, want that it cannot be asked without harm here", err)
			}
			id, err := i.Identity(t.Context())
			if err != nil || id.Mark != testenv.Need(t, c.access) || id.Kind != "access key" {
				t.Errorf("identity: got %+v, %v", id, err)
			}
		})
	}
	for _, prefix := range []string{"audit/" + folder, "recordings/" + folder, "probe/doctor-"} {
		bucket := aws.String(testenv.Need(t, testenv.S3Bucket))
		out, err := raw(t).ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket, Prefix: &prefix})
		if err != nil || len(out.Versions)+len(out.DeleteMarkers) != 0 {
			t.Errorf("left behind below %s: %d versions, %d delete markers, %v", prefix, len(out.Versions), len(out.DeleteMarkers), err)
		}
	}
}

func TestARealServerTellsHowItsBucketIsSetUp(t *testing.T) {
	i := inspectReal(t, testenv.S3RootKey, testenv.S3RootSecret)
	if on, err := i.Versioning(t.Context()); err != nil || !on {
		t.Errorf("versioning: %v, %v", on, err)
	}
	if l, err := i.Lock(t.Context()); err != nil || !l.Possible || l.Default {
		t.Errorf("lock: %+v, %v", l, err)
	}
	if r, err := i.Region(t.Context()); err != nil || r != testenv.Need(t, testenv.S3Region) {
		t.Errorf("region: %q, %v", r, err)
	}
	if at, err := i.Clock(t.Context()); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("clock: %v, %v", at, err)
	}
	// What this server does not know must not look like an answer.
	if v, err := i.Encryption(t.Context()); !errors.Is(err, objstore.ErrCannotTell) {
		t.Errorf("encryption: %+v, %v", v, err)
	}
	if v, err := i.Lifecycle(t.Context()); !errors.Is(err, objstore.ErrCannotTell) {
		t.Errorf("lifecycle: %+v, %v", v, err)
	}
	if v, err := i.Exposure(t.Context()); !errors.Is(err, objstore.ErrCannotTell) {
		t.Errorf("exposure: %+v, %v", v, err)
	}
}
