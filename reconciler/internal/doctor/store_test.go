package doctor

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/twinreel/twinreel/pkg/objstore"
	"github.com/twinreel/twinreel/pkg/tier"
)

// served is a server that answers all links with that status.
func served(t *testing.T, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Range") != "bytes=0-0" {
			t.Errorf("asked by %s %s", r.Method, r.Header.Get("Range"))
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestEachWayInWhichAStoreCanBeSetUpWrongly(t *testing.T) {
	for name, c := range map[string]struct {
		tier    tier.Tier
		change  func(*cloud, *Store)
		check   string
		verdict Verdict
		words   string
	}{
		"versions off":             {tier.Primary, func(c *cloud, _ *Store) { c.versions = false }, "versions", Fail, "not kept"},
		"versions not told":        {tier.Primary, func(c *cloud, _ *Store) { c.untold = cannotTell("501") }, "versions", Unknown, "501"},
		"another region":           {tier.Primary, func(c *cloud, _ *Store) { c.region = "us" }, "region", Fail, "TWINREEL_S3_REGION is eu, the bucket is in us"},
		"region not told":          {tier.Primary, func(c *cloud, _ *Store) { c.untold = cannotTell("no name") }, "region", Unknown, "no name"},
		"not encrypted":            {tier.Primary, func(c *cloud, _ *Store) { c.encryption = objstore.Encryption{} }, "encryption", Fail, "not at all"},
		"encrypted by each object": {tier.Primary, func(c *cloud, s *Store) { c.encryption, s.Encrypt, s.Key = objstore.Encryption{}, "aws:kms", "k1" }, "encryption", Pass, "aws:kms k1"},
		"default not told":         {tier.Primary, func(c *cloud, s *Store) { c.untold, s.Encrypt = cannotTell("501"), "AES256" }, "encryption", Unknown, "asked to be encrypted with AES256"},
		"another scope forced": {tier.Backup, func(c *cloud, s *Store) {
			c.encryption, s.Encrypt, s.Key = objstore.Encryption{Default: "AES-256", Key: "theirs", Forced: true}, "scope", "ours"
		}, "encryption", Fail, "theirs only"},
		"public":               {tier.Primary, func(c *cloud, _ *Store) { c.exposure = []string{"BlockPublicPolicy is off"} }, "public", Fail, "BlockPublicPolicy"},
		"public not told":      {tier.Primary, func(c *cloud, _ *Store) { c.untold = cannotTell("501") }, "public", Unknown, "501"},
		"clock an hour behind": {tier.Backup, func(c *cloud, _ *Store) { c.clock = time.Now().Add(-time.Hour) }, "clock", Fail, "behind"},
		"clock a minute ahead": {tier.Backup, func(c *cloud, _ *Store) { c.clock = time.Now().Add(time.Minute) }, "clock", Warn, "ahead"},
		"cannot sign":          {tier.Backup, func(c *cloud, _ *Store) { c.linkErr = fmt.Errorf("%w: a SAS cannot", objstore.ErrCannotLink) }, "copies", Fail, "a SAS cannot"},
		"link refused":         {tier.Backup, func(c *cloud, _ *Store) { c.link = served(t, 403) }, "copies", Fail, "403"},
		"link leads nowhere":   {tier.Backup, func(c *cloud, _ *Store) { c.link = "http://127.0.0.1:1" }, "copies", Fail, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			i := good()
			i.link = served(t, http.StatusNotFound)
			s := Store{Tier: c.tier, Inspector: i, Region: "eu", RetentionDays: 2555}
			c.change(i, &s)
			wants(t, find(t, s.Examine(t.Context()), c.tier.String()+"."+c.check), c.verdict, c.words)
		})
	}
}

func TestAGoodStorePassesInAllThings(t *testing.T) {
	for _, tt := range tier.All() {
		c := good()
		c.link = served(t, http.StatusNotFound)
		for _, one := range (Store{Tier: tt, Inspector: c, Region: "eu", RetentionDays: 2555}).Examine(t.Context()) {
			wants(t, one, Pass, "")
		}
	}
}

func TestAStoreThatIsAwayIsSaidOnce(t *testing.T) {
	c := good()
	c.away = errAway
	all := Store{Tier: tier.Primary, Inspector: c}.Examine(t.Context())
	if len(all) != 1 {
		t.Fatalf("got %+v", all)
	}
	wants(t, all[0], Fail, "connection refused")
}

func TestEachLifecycleRuleIsJudgedByWhatItTakesAway(t *testing.T) {
	for name, c := range map[string]struct {
		tier    tier.Tier
		rule    objstore.Rule
		verdict Verdict
		words   string
	}{
		"by a tag":                  {tier.Primary, objstore.Rule{Name: "r", ByTag: true, Expires: 9999}, Fail, `rule "r" hangs on a tag`},
		"too early":                 {tier.Primary, objstore.Rule{Expires: 2554}, Fail, "after 2554 days, TWINREEL_RETENTION_DAYS is 2555"},
		"in time":                   {tier.Primary, objstore.Rule{Expires: 2555, Aborts: 7}, Pass, ""},
		"on a date":                 {tier.Primary, objstore.Rule{Expires: -1}, Fail, "fixed date"},
		"of something else":         {tier.Primary, objstore.Rule{Prefix: "logs/", Expires: 1, ByTag: true, Aborts: 1}, Pass, ""},
		"of a part of ours":         {tier.Primary, objstore.Rule{Prefix: "recordings/emea/", Expires: 1}, Fail, "after 1 days"},
		"of a letter that ours has": {tier.Primary, objstore.Rule{Prefix: "rec", Expires: 1}, Fail, "after 1 days"},
		"of the sealed log":         {tier.Primary, objstore.Rule{Prefix: "audit/", Expires: 30}, Fail, "after 30 days"},
		"of overwritten versions":   {tier.Primary, objstore.Rule{OldExpires: 30}, Warn, "somebody overwrote"},
		"into a deep archive":       {tier.Primary, objstore.Rule{Moves: "GLACIER_IR, DEEP_ARCHIVE"}, Warn, "cannot be read at once"},
		"into an instant archive":   {tier.Primary, objstore.Rule{Moves: "GLACIER_IR", Aborts: 7}, Pass, ""},
		"nothing lapses":            {tier.Primary, objstore.Rule{Prefix: "logs/", Expires: 1}, Warn, "never committed"},
		"backup deletes, ever":      {tier.Backup, objstore.Rule{Expires: 9999}, Fail, "removes objects by itself"},
		"backup has a harmless one": {tier.Backup, objstore.Rule{Moves: "Cold"}, Pass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			i := good()
			i.rules = []objstore.Rule{c.rule}
			s := Store{Tier: c.tier, Inspector: i, RetentionDays: 2555}
			wants(t, s.lifecycle(t.Context()), c.verdict, c.words)
		})
	}
	i := good()
	i.untold = cannotTell("501")
	wants(t, Store{Tier: tier.Backup, Inspector: i}.lifecycle(t.Context()), Unknown, "501")
}

func TestRetentionHasToBeTheSameInBothStores(t *testing.T) {
	locks := objstore.Lock{Possible: true}
	byDefault := func(days int) objstore.Lock {
		return objstore.Lock{Possible: true, Default: true, Days: days, Mode: "COMPLIANCE"}
	}
	for name, c := range map[string]struct {
		pDays, bDays int
		p, b         objstore.Lock
		mode         string
		verdict      Verdict
		words        string
	}{
		"equal":                      {2555, 2555, locks, locks, "COMPLIANCE", Pass, "primary: 2555 days; backup: 2555 days"},
		"equal, but it can be ended": {2555, 2555, locks, locks, "GOVERNANCE", Pass, "may bypass"},
		"backup shorter":             {2555, 30, locks, locks, "COMPLIANCE", Fail, "backup: 30 days"},
		"backup none":                {2555, 0, locks, objstore.Lock{}, "COMPLIANCE", Fail, "backup: none"},
		"none at all":                {0, 0, objstore.Lock{}, objstore.Lock{}, "", Warn, "may delete both"},
		"the bucket's own, equal":    {0, 100, byDefault(100), locks, "", Pass, "by the bucket's default"},
		"the bucket's own, other":    {0, 100, byDefault(99), locks, "", Fail, "99 days"},
		"a container's own":          {100, 0, locks, objstore.Lock{Possible: true, Default: true}, "COMPLIANCE", Unknown, "not told"},
	} {
		t.Run(name, func(t *testing.T) {
			p, b := good(), good()
			p.lock, b.lock = c.p, c.b
			r := Retention{Primary: p, Backup: b, Mode: c.mode, PrimaryDays: c.pDays, BackupDays: c.bDays}
			wants(t, find(t, r.Examine(t.Context()), "stores.retention"), c.verdict, c.words)
		})
	}
	p, b := good(), good()
	r := Retention{Primary: p, Backup: b, PrimaryDays: 1, BackupDays: 1}
	all := r.Examine(t.Context())
	wants(t, find(t, all, "primary.lock"), Fail, "cannot lock single objects")
	wants(t, find(t, all, "backup.lock"), Fail, "cannot lock single objects")
	p.untold = cannotTell("no right")
	wants(t, find(t, r.Examine(t.Context()), "primary.lock"), Unknown, "no right")
	if all := (Retention{}).Examine(t.Context()); len(all) != 0 {
		t.Errorf("stores that are not set up: %+v", all)
	}
}
