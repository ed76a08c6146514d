package layout

// Servers and simulated servers that only tests and the one-machine stack may be built from.
const (
	natsServer = "github.com/nats-io/nats-server"
	versitygw  = "github.com/versity/versitygw"
	toxiproxy  = "github.com/Shopify/toxiproxy"
	miniredis  = "github.com/alicebob/miniredis"
)

// The cloud SDKs and the client of Redis.
const (
	awsSDK   = "github.com/aws"
	azureSDK = "github.com/Azure"
	redisSDK = "github.com/redis"
)

// Ban says what some packages must never be built from, however far down.
type Ban struct {
	Who    []string // below Root; a folder stands for all packages in it
	Except []string
	Not    []string // import paths, whole or their beginning
	Tests  bool     // holds for their tests, too
	Why    string
}

// Bans returns what is banned.
func Bans() []Ban {
	pkg := func(names ...string) []string {
		out := make([]string, len(names))
		for i, name := range names {
			out[i] = Root + "/pkg/" + name
		}
		return out
	}
	return []Ban{
		{
			Who: []string{"ingress"}, Not: append(pkg("objstore", "ledger", "transfer", "worker", "mediasource", "platform"), awsSDK, azureSDK, redisSDK),
			Tests: true, Why: "ingress talks to NATS alone: no media, no store, no Redis",
		},
		{
			Who: []string{"worker-primary"}, Not: append(pkg("objstore/azstore"), azureSDK),
			Tests: true, Why: "the primary tier's program has no way into the other cloud",
		},
		{
			Who: []string{"worker-backup"}, Not: append(pkg("objstore/s3store"), awsSDK),
			Tests: true, Why: "the backup tier's program has no way into the other cloud",
		},
		{
			Who: []string{"pkg/objstore"}, Not: pkg("queue", "ledger", "transfer", "worker", "mediasource", "platform"),
			Tests: true, Why: "a store knows nothing of what is stored in it, nor why",
		},
		{
			Who: []string{"pkg/worker", "pkg/transfer"}, Not: append(pkg("objstore/s3store", "objstore/azstore"), awsSDK, azureSDK),
			Why: "what both workers are must not know which cloud they serve",
		},
		{
			Who: []string{"ingress", "worker-primary", "worker-backup", "reconciler", "pkg"}, Except: []string{"pkg/testenv"}, Not: pkg("testenv"),
			Why: "test code has no place in a program",
		},
		{
			Who: []string{"ingress", "worker-primary", "worker-backup", "reconciler", "pkg"}, Not: []string{natsServer, versitygw, toxiproxy},
			Tests: true, Why: "servers belong to deploy/local; a test gets their addresses from the environment",
		},
		{
			Who: []string{"ingress", "worker-primary", "worker-backup", "reconciler", "pkg"}, Not: []string{miniredis},
			Why: "a simulated Redis is for unit tests, and for the demo where there is no real one",
		},
		{
			Who: []string{"deploy/local/internal/outside"}, Not: pkg("objstore", "transfer", "worker"),
			Tests: true, Why: "the independent reader proves nothing if it reads by our own store code",
		},
		{
			Who: []string{"deploy/local/internal/platform"}, Not: []string{Root + "/pkg"},
			Why: "the simulated platform is somebody else's: it must not share our idea of the truth",
		},
	}
}

// Door names the only packages that import a library themselves, outside deploy/local: its types, errors and quirks end
// there.
type Door struct {
	Library string
	Open    []string // below Root
}

// Doors returns the doors.
func Doors() []Door {
	return []Door{
		{awsSDK, []string{"pkg/objstore/s3store"}},
		{azureSDK, []string{"pkg/objstore/azstore"}},
		{redisSDK, []string{"pkg/ledger/redisledger"}},
		{"github.com/go-redis/redis_rate", []string{"pkg/ledger/redisledger"}},
		{"golang.org/x/oauth2", []string{"pkg/platform"}},
		{"github.com/caarlos0/env", []string{"pkg/settings"}},
		{"github.com/cenkalti/backoff", []string{"pkg/queue", "pkg/mediasource"}}, // a message's waits; a broken range's
		{"github.com/minio/crc64nvme", []string{"pkg/digest"}},
		{"code.dny.dev/ssrf", []string{"pkg/mediasource"}},
		{"github.com/failsafe-go/failsafe-go", []string{"pkg/tier/breaker"}},
	}
}

// Arrows says, for each package of pkg, which others of pkg it may import (its tests may import more). The table is read
// from top to bottom: an arrow only ever points upwards.
func Arrows() []Arrow {
	return []Arrow{
		{"tier", nil},
		{"fault", nil},
		{"settings", nil},
		{"tier/breaker", names("settings")},
		{"testenv", nil},
		{"digest", nil},
		{"telemetry", names("settings")},
		{"event", names("digest")},
		{"profile", names("settings", "event")}, // webhook bodies: ingress takes them by HTTP, the reconciler from a file
		{"service", names("fault", "settings", "telemetry")},
		{"ledger", names("tier")},
		{"ledger/redisledger", names("tier", "fault", "settings", "ledger")},
		{"ledger/memledger", names("tier", "fault", "ledger")},
		{"ledger/ledgertest", names("tier", "fault", "ledger")},
		{"objstore", names("fault", "digest")},
		{"objstore/s3store", names("fault", "settings", "digest", "objstore")},
		{"objstore/azstore", names("fault", "settings", "digest", "objstore")},
		{"objstore/memstore", names("fault", "digest", "objstore")},
		{"objstore/observed", names("fault", "digest", "objstore")}, // around any of them
		{"objstore/objstoretest", names("fault", "digest", "objstore")},
		{"platform", names("fault", "settings", "event")},
		{"mediasource", names("fault", "settings", "platform")}, // tokens and turns for media hosts, fresh links
		{"queue", names("tier", "fault", "settings", "event")},
		{"lease", names("fault", "queue")}, // leases lie in a bucket that queue provisions and reads
		{"transfer", names("tier", "fault", "digest", "event", "ledger", "objstore", "mediasource")},
		{"worker", names("tier", "fault", "settings", "tier/breaker", "digest", "event", "service", "ledger", "ledger/redisledger", "objstore", "objstore/observed",
			"platform", "mediasource", "queue", "transfer")},
	}
}

// Arrow is one row of Arrows.
type Arrow struct {
	From string
	To   []string
}

func names(list ...string) []string { return list }

// Folders returns the folders that a folder of the repository may have; "" is the root. What begins with a dot, and what
// is built, is not counted.
func Folders() map[string][]string {
	return map[string][]string{
		"":       {"deploy", "ingress", "pkg", "reconciler", "worker-backup", "worker-primary"},
		"deploy": {"check", "images", "kubernetes", "local", "monitoring", "runbooks", "single", "terraform"},
	}
}

// Modules returns the folders that are modules: just these, all in go.work.
func Modules() []string {
	return []string{"deploy/check", "deploy/local", "ingress", "pkg", "reconciler", "worker-backup", "worker-primary"}
}

// Nameless returns the names that say nothing about a package.
func Nameless() []string {
	return []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "shared", "base", "lib"}
}
