package azstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/testenv"
)

func inspector(t *testing.T, c azstore.Config) *azstore.Inspector {
	t.Helper()
	i, err := azstore.OpenInspector(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestARealServiceTellsWhatEachIdentityMayDoAndKeepsNothingOfTheQuestions(t *testing.T) {
	service := testenv.Need(t, testenv.AzureServiceURL)
	folder := "doctor" + random() + "/"
	for name, c := range map[string]struct {
		config                     azstore.Config
		create, overwrite, destroy bool
		rights                     string
	}{
		"reader":      {signed(t, service, sas.ContainerPermissions{Read: true, List: true}), false, false, false, "rl"},
		"writer":      {signed(t, service, sas.ContainerPermissions{Read: true, Create: true, Write: true, Tag: true}), true, true, false, "rcwt"},
		"creator":     {signed(t, service, sas.ContainerPermissions{Read: true, Create: true}), true, false, false, "rc"},
		"account key": {realConfig(t, service), true, true, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			i := inspector(t, c.config)
			for question, one := range map[string]struct {
				ask  func() (bool, error)
				want bool
			}{
				"create":    {func() (bool, error) { return i.MayCreate(t.Context(), "recordings/"+folder+"x") }, c.create},
				"overwrite": {func() (bool, error) { return i.MayOverwrite(t.Context(), "recordings/"+folder+"x") }, c.overwrite},
				"delete":    {func() (bool, error) { return i.MayDelete(t.Context()) }, c.destroy},
			} {
				if got, err := one.ask(); err != nil || got != one.want {
					t.Errorf("may %s: got %v, %v, want %v", question, got, err, one.want)
				}
			}
			id, err := i.Identity(t.Context())
			if err != nil || id.Rights != c.rights || id.Owner != (c.rights == "") || id.Mark == "" {
				t.Errorf("identity: got %+v, %v", id, err)
			}
			if c.rights != "" && (time.Until(id.Expires) > time.Hour || time.Until(id.Expires) < 50*time.Minute) {
				t.Errorf("ends %v", id.Expires)
			}
		})
	}
	prefix := "recordings/" + folder
	page, err := raw(t).NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
		Prefix: &prefix, Include: container.ListBlobsInclude{UncommittedBlobs: true, Deleted: true},
	}).NextPage(t.Context())
	if err != nil || len(page.Segment.BlobItems) != 0 {
		t.Errorf("left behind: %v, %v", page.Segment, err)
	}
}

func TestARealServiceTellsHowItsContainerIsSetUp(t *testing.T) {
	service := testenv.Need(t, testenv.AzureServiceURL)
	i := inspector(t, realConfig(t, service))
	if at, err := i.Clock(t.Context()); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("clock: %v, %v", at, err)
	}
	if open, err := i.Exposure(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("exposure: %v, %v", open, err)
	}
	if e, err := i.Encryption(t.Context()); err != nil || e.Default == "" {
		t.Errorf("encryption: %+v, %v", e, err)
	}
	if l, err := i.Lock(t.Context()); err != nil || l.Possible || l.Default {
		t.Errorf("lock: %+v, %v", l, err)
	}
	if on, err := i.Versioning(t.Context()); on || !errors.Is(err, objstore.ErrCannotTell) {
		t.Errorf("versioning: %v, %v", on, err)
	}
	if rules, err := i.Lifecycle(t.Context()); !errors.Is(err, objstore.ErrCannotTell) {
		t.Errorf("lifecycle: %v, %v", rules, err)
	}
}
