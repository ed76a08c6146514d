package layout_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/local/layout"
)

// pack is a made-up package below Root.
func pack(name string, imports ...string) layout.Package {
	return layout.Package{ImportPath: layout.Root + "/" + name, Name: path.Base(name), Imports: imports}
}

// own is the import path of one of our packages.
func own(name string) string { return layout.Root + "/" + name }

// foreign are made-up packages of others.
func foreign(names ...string) []layout.Package {
	var out []layout.Package
	for _, name := range names {
		out = append(out, layout.Package{ImportPath: name, Name: path.Base(name), DepOnly: true})
	}
	return out
}

func TestABrokenRuleIsFound(t *testing.T) {
	const (
		s3    = "github.com/aws/aws-sdk-go-v2/service/s3"
		blob  = "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
		redis = "github.com/redis/go-redis/v9"
		nats  = "github.com/nats-io/nats-server/v2/server"
	)
	test := func(p layout.Package, imports ...string) layout.Package {
		p.XTestImports = imports
		return p
	}
	cases := []struct {
		name     string
		packages []layout.Package
		want     string
	}{
		{"ingress with a cloud SDK", []layout.Package{pack("ingress", s3)}, "ingress must not be built from " + s3},
		{
			"ingress with Redis, three arrows down",
			[]layout.Package{pack("ingress", own("pkg/queue")), pack("pkg/queue", "example.org/cache"), {ImportPath: "example.org/cache", Imports: []string{redis}}},
			"(ingress → pkg/queue → example.org/cache → " + redis + ")",
		},
		{"ingress with Redis in its tests only", []layout.Package{test(pack("ingress/internal/webhook"), redis)}, "ingress/internal/webhook must not be built from " + redis},
		{"worker-primary with Azure", []layout.Package{pack("worker-primary", own("pkg/objstore/azstore")), pack("pkg/objstore/azstore", blob)}, "worker-primary must not be built from pkg/objstore/azstore"},
		{"worker-backup with AWS", []layout.Package{pack("worker-backup/internal/config", s3)}, "worker-backup/internal/config must not be built from " + s3},
		{"the common worker with a cloud", []layout.Package{pack("pkg/worker", own("pkg/objstore/s3store")), pack("pkg/objstore/s3store")}, "pkg/worker must not be built from pkg/objstore/s3store"},
		{"a store that knows the queue", []layout.Package{pack("pkg/objstore/memstore", own("pkg/queue")), pack("pkg/queue")}, "pkg/objstore/memstore must not be built from pkg/queue"},
		{"a server in a test of pkg", []layout.Package{test(pack("pkg/queue"), nats)}, "pkg/queue must not be built from " + nats},
		{"test code in a program", []layout.Package{pack("reconciler", own("pkg/testenv")), pack("pkg/testenv")}, "reconciler must not be built from pkg/testenv"},
		{"an independent reader that is not", []layout.Package{pack("deploy/local/internal/outside", own("pkg/objstore"))}, "deploy/local/internal/outside must not be built from pkg/objstore"},
		{"a platform that shares our code", []layout.Package{pack("deploy/local/internal/platform", own("pkg/event"))}, "deploy/local/internal/platform must not be built from pkg/event"},
		{"a library by another door", []layout.Package{pack("reconciler/internal/inventory", s3)}, "reconciler/internal/inventory imports " + s3 + ": only pkg/objstore/s3store does"},
		{"a new arrow", []layout.Package{pack("pkg/event", own("pkg/tier")), pack("pkg/tier")}, "pkg/event → pkg/tier is not in the table of arrows"},
		{"an arrow turned round", []layout.Package{pack("pkg/digest", own("pkg/event")), pack("pkg/event")}, "pkg/digest → pkg/event is not in the table of arrows"},
		{"a new package", []layout.Package{pack("pkg/breaker")}, "pkg/breaker has no row in the table of arrows"},
		{"pkg that imports a program", []layout.Package{pack("pkg/worker", own("worker-primary/api")), pack("worker-primary/api")}, "pkg/worker imports worker-primary/api"},
		{"a program that imports another", []layout.Package{test(pack("reconciler"), own("ingress/api")), pack("ingress/api")}, "reconciler imports ingress/api"},
		{"a program that imports the stack", []layout.Package{pack("ingress", own("deploy/local/stack")), pack("deploy/local/stack")}, "ingress imports deploy/local/stack"},
		{"a package named so that nothing is said", []layout.Package{pack("ingress/internal/util")}, "ingress/internal/util: the name says nothing"},
		{"such a name behind another folder's", []layout.Package{{ImportPath: own("ingress/internal/text"), Name: "helpers"}}, "ingress/internal/text: the name says nothing"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			found := layout.Check(layout.NewGraph(append(c.packages, foreign(s3, blob, redis, nats)...)))
			if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, c.want) }) {
				t.Errorf("found %q, want one with %q", found, c.want)
			}
		})
	}
}

func TestEveryRowOfTheBansIsHeld(t *testing.T) {
	for i, ban := range layout.Bans() {
		for _, who := range ban.Who {
			for _, not := range ban.Not {
				t.Run(fmt.Sprintf("%d %s %s", i, who, path.Base(not)), func(t *testing.T) {
					between := "example.org/between"
					g := layout.NewGraph([]layout.Package{
						pack(who+"/internal/made-up", between), {ImportPath: between, Imports: []string{not}}, {ImportPath: not},
					})
					if found := layout.Check(g); !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, ban.Why) }) {
						t.Errorf("found %q, want one that says %q", found, ban.Why)
					}
				})
			}
		}
	}
}

func TestWhatTheRulesAllowIsNoFinding(t *testing.T) {
	g := layout.NewGraph([]layout.Package{
		pack("worker-primary", own("pkg/worker"), own("pkg/objstore/s3store"), own("worker-primary/internal/config")),
		pack("worker-primary/internal/config", own("pkg/worker")),
		pack("pkg/worker", own("pkg/objstore"), own("pkg/queue")),
		pack("pkg/objstore", own("pkg/digest")),
		pack("pkg/objstore/s3store", own("pkg/objstore"), "github.com/aws/aws-sdk-go-v2"),
		pack("pkg/queue", own("pkg/event"), "github.com/nats-io/nats.go"),
		pack("pkg/event", own("pkg/digest")),
		pack("pkg/digest", "github.com/minio/crc64nvme"),
		pack("deploy/local/internal/stack", own("pkg/queue"), "github.com/alicebob/miniredis/v2", "github.com/aws/aws-sdk-go-v2"),
		{ImportPath: own("pkg/digest"), ForTest: own("pkg/digest"), Imports: []string{own("pkg/worker")}},
		{ImportPath: own("ingress") + ".test", Name: "main", Imports: []string{"github.com/aws/aws-sdk-go-v2"}},
	})
	if found := layout.Check(g); len(found) > 0 {
		t.Errorf("found %q", found)
	}
}

func TestALibraryWhoseNameOnlyBeginsAlikeIsAnother(t *testing.T) {
	g := layout.NewGraph([]layout.Package{pack("ingress", "github.com/awslike/thing", "github.com/redistribute/thing")})
	if found := layout.Check(g); len(found) > 0 {
		t.Errorf("found %q", found)
	}
}

func TestRowsThatGuardNothingAreFound(t *testing.T) {
	found := layout.Stale(layout.NewGraph([]layout.Package{pack("ingress"), pack("pkg/tier")}))
	for _, want := range []string{"there is no worker-primary", "there is no pkg/transfer", "door of github.com/aws: there is no pkg/objstore/s3store"} {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, want) }) {
			t.Errorf("found %q, want one with %q", found, want)
		}
	}
	for _, f := range found {
		if strings.HasSuffix(f, "there is no ingress") || strings.HasSuffix(f, "there is no pkg/tier") {
			t.Errorf("found %q, but it is there", f)
		}
	}
}

func TestInitFunctionsAreTheOnlyOnesFound(t *testing.T) {
	const source = `package made

import "fmt"

type thing struct{}

func (thing) init() {}

func initialise() { init := fmt.Sprint; _ = init }

// func init() in words
func init() {}
`
	found, err := layout.InitFuncs("made.go", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].Line != 12 {
		t.Errorf("found %v, want line 12 alone", found)
	}
	if _, err := layout.InitFuncs("broken.go", []byte("package")); err == nil {
		t.Error("source that cannot be read passed as free of init functions")
	}
}
