package kubernetes

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// renderRegions returns what is made of both regions.
func renderRegions(t *testing.T) (texts [2][]byte, lists [2][]Object) {
	t.Helper()
	for i, overlay := range Regions() {
		var err error
		if texts[i], lists[i], err = Render(t.Context(), overlay); err != nil {
			t.Fatal(err)
		}
	}
	return texts, lists
}

func TestTwoRegionsGoTogether(t *testing.T) {
	_, lists := renderRegions(t)
	for _, problem := range CheckRegions(lists[0], lists[1]) {
		t.Error(problem)
	}
}

// Each thing that is broken in one of two regions is noticed, and by its name.
func TestWhatIsBrokenBetweenRegionsIsNoticed(t *testing.T) {
	settings := known(t)
	texts, lists := renderRegions(t)
	for name, c := range map[string]struct{ old, new, want string }{
		"its peer is itself":              {"TWINREEL_PEER_DOMAIN: west", "TWINREEL_PEER_DOMAIN: east", `TWINREEL_PEER_DOMAIN is "east", want "west"`},
		"its domain is the peer's":        {"  domain: east", "  domain: west", `its peer is "west"`},
		"the peer is not told":            {"  TWINREEL_PEER_DOMAIN: west\n", "", `TWINREEL_PEER_DOMAIN is "", want "west"`},
		"its reconciler is here alone":    {"TWINREEL_NATS_URL: tls://nats.west.twinreel.example:4222", "TWINREEL_NATS_URL: tls://nats:4222", "it is not the other region's"},
		"the other's is not run":          {"name: reconciler-peer\n  namespace: twinreel\nspec:\n  replicas", "name: reconciler-2\n  namespace: twinreel\nspec:\n  replicas", "the reconciler of west does not run here"},
		"a name that the other has not":   {"nats.west.twinreel.example", "nats.west.twinreel.test", `it looks for the other's at "tls://nats.west.twinreel.test:4222"`},
		"nobody stands by":                {"name: TWINREEL_STANDBY\n          value: \"true\"", "name: TWINREEL_STANDBY\n          value: \"false\"", "Deployment reconciler: TWINREEL_STANDBY is \"false\""},
		"another bucket":                  {"TWINREEL_S3_BUCKET: example-recordings", "TWINREEL_S3_BUCKET: example-recordings-east", "belong into the same stores"},
		"another container":               {"TWINREEL_AZURE_CONTAINER: recordings", "TWINREEL_AZURE_CONTAINER: recordings-east", "belong into the same stores"},
		"a writer of both":                {"role/twinreel-writer-us-east-1", "role/twinreel-writer-us-west-2", "ServiceAccount worker-primary: arn:aws:iam::123456789012:role/twinreel-writer-us-west-2 is who it is in both"},
		"a reader of both":                {"44444444-4444-4444-8444-444444444444", "66666666-6666-4666-8666-666666666666", "is who it is in both regions"},
		"no audit key":                    {"name: TWINREEL_AUDIT_KEY_FILE", "name: NOT_AUDIT_KEY_FILE", "Deployment reconciler-peer: reconciler requires TWINREEL_AUDIT_KEY"},
		"this region's password":          {"secretName: twinreel-reconciler-peer", "secretName: twinreel-reconciler", "Deployment reconciler-peer: mounts the Secret twinreel-reconciler"},
		"another user there":              {"TWINREEL_NATS_USER: reconciler", "TWINREEL_NATS_USER: provisioner", "Deployment reconciler-peer: it is the user provisioner"},
		"the leaf port for everybody":     {"  - from:\n    - ipBlock:\n        cidr: 10.20.0.0/16\n    ports:\n    - port: 4222\n", "  - ports:\n    - port: 4222\n", "a way is open that nobody needs: outside → nats:7422"},
		"the leaf port for another range": {"        cidr: 10.20.0.0/16\n    ports:\n    - port: 4222\n", "        cidr: 10.0.0.0/8\n    ports:\n    - port: 4222\n", "a way is open that nobody needs: 10.0.0.0/8 → nats:7422"},
		"the balancer for everybody":      {"loadBalancerSourceRanges:\n  - 10.20.0.0/16", "loadBalancerSourceRanges:\n  - 0.0.0.0/0", "Service nats-region: it lets [0.0.0.0/0] in"},
		"a public balancer":               {"azure-load-balancer-internal: \"true\"", "azure-load-balancer-internal: \"false\"", "it may have an address outside"},
		"a balancer that hides":           {"externalTrafficPolicy: Local", "externalTrafficPolicy: Cluster", "hides who asks"},
		"a port that NATS has not":        {"targetPort: leafnodes", "targetPort: leafnode", "nats has no port leafnode"},
		"no way to its Redis":             {"    - port: 6379\n      protocol: TCP\n    - port: 26379\n      protocol: TCP\n    to:\n    - ipBlock:", "    - port: 6380\n      protocol: TCP\n    to:\n    - ipBlock:", "a way is closed that is needed: reconciler-peer → 10.20.0.0/16:6379"},
		"a public range":                  {"10.20.0.0/16", "203.0.113.0/24", "want a private one"},
	} {
		t.Run(name, func(t *testing.T) {
			if !bytes.Contains(texts[0], []byte(c.old)) {
				t.Fatalf("there is no %q in what is rendered", c.old)
			}
			broken, err := Parse(bytes.ReplaceAll(texts[0], []byte(c.old), []byte(c.new)))
			if err != nil {
				t.Fatal(err)
			}
			err = errors.Join(append(CheckRegions(broken, lists[1]), Check(broken, settings)...)...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q is not among what was said:\n%v", c.want, err)
			}
		})
	}
}

// valuesOf reads the values of NATS's chart for an overlay, those of production below it, as Helm merges them: a key of the later
// file wins, a list as a whole.
func valuesOf(t *testing.T, texts ...[]byte) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, text := range texts {
		var v map[string]any
		if err := yaml.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		merge(all, v)
	}
	return all
}

func merge(into, from map[string]any) {
	for k, v := range from {
		below, isMap := v.(map[string]any)
		if at, both := into[k].(map[string]any); isMap && both {
			merge(at, below)
			continue
		}
		into[k] = v
	}
}

func readValues(t *testing.T, overlay string) []byte {
	t.Helper()
	text, err := os.ReadFile(repo.Path(t, "deploy", "kubernetes", "overlays", overlay, "nats-values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// unshared is what must not pass between the regions, as the servers of the tests have it.
func unshared(t *testing.T) []any {
	t.Helper()
	text, err := os.ReadFile(repo.Path(t, "deploy", "local", "internal", "stack", "regions.go"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`unshared = \[\]string\{([^}]*)\}`).FindSubmatch(text)
	if m == nil {
		t.Fatal("deploy/local does not say what its regions do not share")
	}
	var out []any
	for _, one := range strings.FieldsFunc(string(m[1]), func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		subject, err := strconv.Unquote(strings.TrimSpace(one))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, subject)
	}
	return out
}

// regionValues are what of the values of a region's NATS has to do with the other region.
type regionValues struct {
	Config struct {
		Prefix  string `yaml:"serverNamePrefix"`
		Cluster struct {
			Merge struct{ Name string }
		}
		Jetstream struct {
			FileStore struct {
				MaxSize string `yaml:"maxSize"`
			} `yaml:"fileStore"`
			Merge struct{ Domain string }
		}
		Leafnodes struct {
			Enabled bool
			TLS     struct {
				Enabled    bool
				SecretName string `yaml:"secretName"`
				Merge      struct{ Verify bool }
			} `yaml:"tls"`
		}
		Merge struct {
			Include   string `yaml:"01$include"`
			Leafnodes struct {
				Remotes []struct {
					URL, Account string
					Imports      []any `yaml:"deny_imports"`
					Exports      []any `yaml:"deny_exports"`
					TLS          map[string]any
				}
			}
		}
		Patch []struct {
			Op, Path string
			Value    map[string]any
		}
	}
}

// checkRegionValues says what is wrong with the values of two regions, merged over production's: the first takes the second's
// connections.
func checkRegionValues(hub, leaf map[string]any, lists [2][]Object, deny []any) (out []error) {
	var at [2]regionValues
	complain := func(format string, args ...any) { out = append(out, fmt.Errorf(format, args...)) }
	for i, all := range []map[string]any{hub, leaf} {
		text, err := yaml.Marshal(all)
		if err == nil {
			err = yaml.Unmarshal(text, &at[i])
		}
		if err != nil {
			return []error{err}
		}
		out = append(out, checkValues(text, "3")...)
		c := &checker{list: lists[i]}
		v := at[i].Config
		if want := c.region()["domain"]; v.Jetstream.Merge.Domain != want {
			complain("its JetStream's domain is %q, want %q", v.Jetstream.Merge.Domain, want)
		}
		if have, need := quantity(v.Jetstream.FileStore.MaxSize), c.streams(); have < need {
			complain("region %s: its streams and the other's mirrors may take %d GiB, its JetStream %d", v.Jetstream.Merge.Domain, need, have)
		}
	}
	h, l := at[0].Config, at[1].Config
	if h.Prefix != "" || h.Cluster.Merge.Name != "" {
		complain("the first region's cluster or servers are named anew: it would not find its replicas again")
	}
	if l.Prefix == "" || l.Cluster.Merge.Name == "" || l.Cluster.Merge.Name == "nats" {
		complain("both regions' clusters or servers have the same names: the connection would be refused")
	}
	if !h.Leafnodes.Enabled || !h.Leafnodes.TLS.Enabled || h.Leafnodes.TLS.SecretName == "" || !h.Leafnodes.TLS.Merge.Verify {
		complain("the first region takes no connections, or without TLS of both sides")
	}
	if l.Leafnodes.Enabled || len(h.Merge.Leafnodes.Remotes) > 0 {
		complain("both regions take connections, or make them: one each is enough, in one direction")
	}
	if h.Merge.Include != "permissions/region.conf" {
		complain("the first region does not include region.conf")
	}
	want := map[string]any{"user": "region", "password": "<< $REGION_PASSWORD >>", "permissions": "<< $REGION >>"}
	if len(h.Patch) != 1 || h.Patch[0].Op != "add" || h.Patch[0].Path != "/accounts/TWINREEL/users/-" || !maps.Equal(h.Patch[0].Value, want) {
		complain("the first region's user for the second is %v, want %v added to the account's", h.Patch, want)
	}
	if len(l.Merge.Leafnodes.Remotes) != 1 {
		complain("the second region makes %d connections, want one", len(l.Merge.Leafnodes.Remotes))
		return out
	}
	r := l.Merge.Leafnodes.Remotes[0]
	if r.URL != "<< $REGION_URL >>" || r.Account != "TWINREEL" {
		complain("the second region connects to %q for the account %q", r.URL, r.Account)
	}
	if !slices.Equal(r.Imports, deny) || !slices.Equal(r.Exports, deny) {
		complain("what may not pass is deny_imports %v and deny_exports %v, want %v of both", r.Imports, r.Exports, deny)
	}
	for _, key := range []string{"cert_file", "key_file", "ca_file"} {
		if r.TLS[key] == nil {
			complain("the second region connects without TLS of both sides: no %s", key)
		}
	}
	return out
}

// streams is what this region's streams and the mirrors of equal ones may take, in GiB.
func (c *checker) streams() (sum int) {
	data, _ := c.config("twinreel-streams")
	for name, times := range map[string]int{"TWINREEL_RECORDINGS_MAX_BYTES": 2, "TWINREEL_AUDIT_MAX_BYTES": 2, "TWINREEL_DLQ_MAX_BYTES": 1} {
		sum += times * quantity(data[name])
	}
	return sum
}

// quantity reads a size in GiB; 0 where it is none.
func quantity(s string) int {
	n, err := strconv.Atoi(strings.TrimRight(s, "GiB"))
	if err != nil {
		return 0
	}
	return n
}

func TestTheValuesOfTwoRegionsGoTogether(t *testing.T) {
	_, lists := renderRegions(t)
	production, deny := readValues(t, "production"), unshared(t)
	var texts [2]string
	for i, overlay := range Regions() {
		texts[i] = string(readValues(t, overlay))
	}
	check := func(hub, leaf string) error {
		return errors.Join(checkRegionValues(valuesOf(t, production, []byte(hub)), valuesOf(t, production, []byte(leaf)), lists, deny)...)
	}
	if err := check(texts[0], texts[1]); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"what comes in is not denied":   {`deny_imports: ["recordings.>", `, "deny_imports: [", "what may not pass"},
		"what goes out is not denied":   {`          deny_exports: ["recordings.>", `, "          deny_exports: [", "what may not pass"},
		"buckets are not denied":        {`, "$KV.>"`, "", "what may not pass"},
		"a remote without TLS":          {"          tls:\n            cert_file: /etc/nats-certs/nats/tls.crt\n            key_file: /etc/nats-certs/nats/tls.key\n            ca_file: /etc/nats-ca-cert/ca.crt\n", "", "without TLS"},
		"a remote without an authority": {"            ca_file: /etc/nats-ca-cert/ca.crt\n", "", "no ca_file"},
		"nobody's certificate":          {"verify: true", "verify: false", "without TLS of both sides"},
		"the port without TLS":          {"    tls:\n      enabled: true\n", "    tls:\n      enabled: false\n", "without TLS of both sides"},
		"a user who may do all":         {", permissions: << $REGION >>", "", "user for the second"},
		"no permissions":                {"    01$include: permissions/region.conf\n", "    x: y\n", "does not include region.conf"},
		"the same domain":               {"domain: west", "domain: east", `domain is "east"`},
		"the same cluster":              {"name: nats-west", "name: nats", "the same names"},
		"the first is named anew":       {"  leafnodes:\n    enabled: true", "  serverNamePrefix: east-\n  leafnodes:\n    enabled: true", "named anew"},
		"mirrors that do not fit":       {"maxSize: 180Gi", "maxSize: 90Gi", "its JetStream 90"},
		"another account":               {"account: TWINREEL", "account: SYS", `for the account "SYS"`},
		"a password in the open":        {"<< $REGION_URL >>", "tls://region:secret@nats:7422", "connects to"},
	} {
		t.Run(name, func(t *testing.T) {
			hub, leaf := strings.ReplaceAll(texts[0], c.old, c.new), strings.ReplaceAll(texts[1], c.old, c.new)
			if hub == texts[0] && leaf == texts[1] {
				t.Fatalf("there is no %q in the values", c.old)
			}
			if err := check(hub, leaf); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want one that names %s", err, c.want)
			}
		})
	}
}
