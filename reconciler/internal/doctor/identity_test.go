package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// well are three identities at which nothing is amiss.
func well() (ids Identities, reader, writer *cloud) {
	reader, writer = good(), goodWriter()
	backupWriter := goodWriter()
	reader.link = "https://stores.example.com"
	stores := func(p, b *cloud) map[tier.Tier]objstore.Inspector {
		out := map[tier.Tier]objstore.Inspector{}
		if p != nil {
			out[tier.Primary] = p
		}
		if b != nil {
			out[tier.Backup] = b
		}
		return out
	}
	backupReader := good()
	backupReader.link = "https://stores.example.com"
	return Identities{
		{Role: Reconciler, Stores: stores(reader, backupReader)},
		{Role: WorkerPrimary, Stores: stores(writer, nil), Origins: []string{"https://stores.example.com"}},
		{Role: WorkerBackup, Stores: stores(nil, backupWriter), Origins: []string{"https://stores.example.com"}},
	}, reader, writer
}

func TestThreeNarrowIdentitiesPass(t *testing.T) {
	ids, _, _ := well()
	all := ids.Examine(t.Context())
	for _, c := range all {
		wants(t, c, Pass, "")
	}
	if len(all) != 2+4+4+4 {
		t.Errorf("%d checks", len(all))
	}
}

func TestEachRightThatIsTooMuchOrMissingIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(ids Identities, reader, writer *cloud)
		check   string
		verdict Verdict
		words   string
	}{
		"the same credentials":       {func(_ Identities, r, w *cloud) { w.id.Mark = r.id.Mark }, "primary.identities", Fail, "have the same access key"},
		"whose cannot be told":       {func(_ Identities, r, _ *cloud) { r.id.Mark = "" }, "primary.identities", Unknown, "reconciler"},
		"reader may write":           {func(_ Identities, r, _ *cloud) { r.may["recordings/"] = true }, "reconciler.primary.rights", Fail, "it may create recordings/"},
		"reader may write metadata":  {func(_ Identities, r, _ *cloud) { r.may["metadata/"] = true }, "reconciler.primary.rights", Fail, "it may create metadata/"},
		"reader cannot seal":         {func(_ Identities, r, _ *cloud) { r.may["audit/"] = false }, "reconciler.primary.rights", Fail, "it may not create audit/"},
		"reader may delete":          {func(_ Identities, r, _ *cloud) { r.may["versions"] = true }, "reconciler.primary.rights", Fail, "delete versions for good"},
		"reader may replace":         {func(_ Identities, r, _ *cloud) { r.may["overwrite"] = true }, "reconciler.primary.overwrite", Fail, "it can"},
		"writer may delete":          {func(_ Identities, _, w *cloud) { w.may["delete"] = true }, "worker-primary.primary.rights", Fail, "it may delete objects"},
		"writer may delete versions": {func(_ Identities, _, w *cloud) { w.may["versions"] = true }, "worker-primary.primary.rights", Fail, "it may delete versions"},
		"writer cannot write":        {func(_ Identities, _, w *cloud) { w.may["recordings/"] = false }, "worker-primary.primary.rights", Fail, "it may not create recordings/"},
		"writer may replace":         {func(_ Identities, _, w *cloud) { w.may["overwrite"] = true }, "worker-primary.primary.overwrite", Warn, "it can"},
		"deleting is not told":       {func(_ Identities, _, w *cloud) { w.mayNotTell = map[string]bool{"delete": true} }, "worker-primary.primary.rights", Unknown, "delete objects (not here)"},
		"writer is refused":          {func(_ Identities, _, w *cloud) { w.away = errAway }, "worker-primary.rights", Fail, "connection refused"},
		"the other cloud's key":      {func(ids Identities, _, _ *cloud) { ids[1].Strays = []string{"AZURE_CLIENT_SECRET"} }, "worker-primary.other-cloud", Fail, "AZURE_CLIENT_SECRET"},
		"no origins":                 {func(ids Identities, _, _ *cloud) { ids[1].Origins = nil }, "worker-primary.origins", Fail, "is not set"},
		"other origins":              {func(ids Identities, _, _ *cloud) { ids[2].Origins = []string{"https://other.example.com"} }, "worker-backup.origins", Fail, "stores.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			ids, reader, writer := well()
			c.change(ids, reader, writer)
			wants(t, find(t, ids.Examine(t.Context()), c.check), c.verdict, c.words)
		})
	}
}

// A signature knows no paths: whoever needs to add below audit/ can then add anywhere. It cannot delete, at least.
func TestABackupReaderThatMayOnlyAddIsWarnedOf(t *testing.T) {
	ids, _, _ := well()
	r := good()
	r.may["recordings/"], r.may["metadata/"] = true, true
	ids[0].Stores[tier.Backup] = r
	wants(t, find(t, ids.Examine(t.Context()), "reconciler.backup.rights"), Warn, "it cannot delete")
	r.may["delete"] = true
	wants(t, find(t, ids.Examine(t.Context()), "reconciler.backup.rights"), Fail, "delete objects")
}

func TestIdentitiesThatWereNotGivenAreUnknown(t *testing.T) {
	ids, _, _ := well()
	all := ids[:1].Examine(t.Context())
	for _, name := range []string{"primary.identities", "backup.identities", "worker-primary.rights", "worker-backup.rights"} {
		c := find(t, all, name)
		wants(t, c, Unknown, "worker-")
		if !strings.Contains(c.Mend, "--env worker-") {
			t.Errorf("%s: %q does not say how", name, c.Mend)
		}
	}
}

func TestAWorkerIsLookedAtAloneInItsOwnEnvironment(t *testing.T) {
	ids, _, _ := well()
	all := Alone(ids[1]).Examine(t.Context())
	if len(all) != 3 {
		t.Errorf("got %+v", all)
	}
	for _, c := range all {
		wants(t, c, Pass, "")
	}
}

func TestASignatureThatEndsSoonIsSaid(t *testing.T) {
	for left, want := range map[time.Duration]Verdict{-time.Hour: Fail, time.Hour: Warn, 30 * 24 * time.Hour: Pass} {
		ids, _, w := well()
		w.id = objstore.Identity{Kind: "shared access signature", Mark: "m", Rights: "rcwt", Expires: time.Now().Add(left)}
		wants(t, find(t, ids.Examine(t.Context()), "worker-primary.primary.expiry"), want, "ends 20")
	}
}

func TestCredentialsOfTheOtherCloudAreFoundInAnEnvironment(t *testing.T) {
	env := map[string]string{"AWS_ACCESS_KEY_ID": "a", "TWINREEL_AZURE_SAS_TOKEN": "s", "AZURE_CLIENT_SECRET": ""}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	if got := Strays(WorkerPrimary, lookup); len(got) != 1 || got[0] != "TWINREEL_AZURE_SAS_TOKEN" {
		t.Errorf("got %v", got)
	}
	if got := Strays(WorkerBackup, lookup); len(got) != 1 || got[0] != "AWS_ACCESS_KEY_ID" {
		t.Errorf("got %v", got)
	}
}

func TestEnvironmentsAreReadAsSystemdAndDockerHaveThem(t *testing.T) {
	got, err := ReadEnvironment(strings.NewReader("# of worker-primary\n\nA=1\nexport B=\"two words\"\nC='x=y'\nD=\n  E = f  \r\n"))
	if err != nil || len(got) != 5 || got["A"] != "1" || got["B"] != "two words" || got["C"] != "x=y" || got["D"] != "" || got["E"] != "f" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"A", "=s3cret", "A B=s3cret"} {
		if _, err := ReadEnvironment(strings.NewReader("X=1\n" + bad)); err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}
