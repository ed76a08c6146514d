package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/objstore/memstore"
)

// cloud is a store that tells of itself what a test wants: the answers of the real clouds are the drivers' tests'.
type cloud struct {
	objstore.Reader
	away       error
	clock      time.Time
	region     string
	versions   bool
	lock       objstore.Lock
	encryption objstore.Encryption
	exposure   []string
	rules      []objstore.Rule
	untold     error           // the answer to all of the above, unless nil
	may        map[string]bool // by prefix to create below, "overwrite", "delete", "versions"
	mayNotTell map[string]bool // of the same
	id         objstore.Identity
	link       string
	linkErr    error
}

// good is a store at which nothing is amiss, as primary's.
func good() *cloud {
	return &cloud{
		Reader: memstore.New("bucket"), clock: time.Now(), region: "eu", versions: true, encryption: objstore.Encryption{Default: "AES256"},
		rules: []objstore.Rule{{Name: "lapse", Aborts: 7}}, may: map[string]bool{"audit/": true}, id: objstore.Identity{Kind: "access key", Mark: "reader"},
	}
}

// goodWriter is the same as a worker sees it.
func goodWriter() *cloud {
	c := good()
	c.may = map[string]bool{"audit/": true, "recordings/": true, "metadata/": true}
	c.id.Mark = "writer"
	return c
}

func (c *cloud) Stat(ctx context.Context, key string) (objstore.Info, error) {
	if c.away != nil {
		return objstore.Info{}, c.away
	}
	return c.Reader.Stat(ctx, key)
}

func (c *cloud) Link(_ context.Context, key string, _ time.Duration) (objstore.Link, error) {
	return objstore.Link{URL: c.link + "/" + key}, c.linkErr
}

func (c *cloud) Clock(context.Context) (time.Time, error)           { return c.clock, nil }
func (c *cloud) Region(context.Context) (string, error)             { return c.region, c.untold }
func (c *cloud) Versioning(context.Context) (bool, error)           { return c.versions, c.untold }
func (c *cloud) Lock(context.Context) (objstore.Lock, error)        { return c.lock, c.untold }
func (c *cloud) Exposure(context.Context) ([]string, error)         { return c.exposure, c.untold }
func (c *cloud) Lifecycle(context.Context) ([]objstore.Rule, error) { return c.rules, c.untold }
func (c *cloud) Encryption(context.Context) (objstore.Encryption, error) {
	return c.encryption, c.untold
}
func (c *cloud) Identity(context.Context) (objstore.Identity, error) { return c.id, nil }

func (c *cloud) permitted(name string) (bool, error) {
	if c.mayNotTell[name] {
		return false, cannotTell("not here")
	}
	return c.may[name], nil
}

func (c *cloud) MayCreate(_ context.Context, key string) (bool, error) {
	prefix, _, _ := strings.Cut(key, "/")
	return c.permitted(prefix + "/")
}

func (c *cloud) MayOverwrite(context.Context, string) (bool, error) { return c.permitted("overwrite") }

func (c *cloud) MayDelete(context.Context) (bool, error) { return c.permitted("delete") }

func (c *cloud) MayDeleteVersions(context.Context) (bool, error) { return c.permitted("versions") }

func cannotTell(why string) error { return fmt.Errorf("%w: %s", objstore.ErrCannotTell, why) }

var errAway = errors.New("connection refused")

// find returns the check of that name.
func find(t *testing.T, all []Check, name string) Check {
	t.Helper()
	for _, c := range all {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check %s in %+v", name, all)
	return Check{}
}

// wants holds a check against a verdict, and words that must be in what was found.
func wants(t *testing.T, c Check, v Verdict, words string) {
	t.Helper()
	if c.Verdict != v || !strings.Contains(c.Found, words) {
		t.Errorf("%s: got %s, found %q; want %s and %q", c.Name, c.Verdict, c.Found, v, words)
	}
	if c.What == "" || c.Why == "" || c.Found == "" || (c.Verdict != Pass) != (c.Mend != "") {
		t.Errorf("%s does not say what, why, what was found, and how to mend what is not as it should be: %+v", c.Name, c)
	}
}
