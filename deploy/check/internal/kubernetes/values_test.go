package kubernetes

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// chart are the keys of NATS's chart 2.14.2 that the values may set; below a key that ends in * is anything, which the chart
// passes on.
func chart() []string {
	return []string{
		"fullnameOverride", "tlsCA.enabled", "tlsCA.secretName", "config.cluster.enabled", "config.cluster.replicas", "config.cluster.tls.enabled", "config.cluster.tls.secretName",
		"config.cluster.merge.*", "config.serverNamePrefix", "config.leafnodes.enabled", "config.leafnodes.port", "config.leafnodes.tls.*", "config.patch",
		"config.jetstream.enabled", "config.jetstream.fileStore.enabled", "config.jetstream.fileStore.maxSize", "config.jetstream.fileStore.pvc.enabled",
		"config.jetstream.fileStore.pvc.size", "config.jetstream.fileStore.pvc.storageClassName", "config.jetstream.merge.*", "config.nats.tls.enabled",
		"config.nats.tls.secretName", "config.monitor.enabled", "config.monitor.port", "config.merge.*", "container.image.tag", "container.merge.*",
		"container.patch", "reloader.merge.*", "podTemplate.configChecksumAnnotation", "podTemplate.topologySpreadConstraints.*", "podTemplate.merge.*",
		"podTemplate.patch", "podDisruptionBudget.enabled", "natsBox.enabled",
	}
}

// paths lists the keys of values, by their way.
func paths(v any, below string) (out []string) {
	m, ok := v.(map[string]any)
	if !ok {
		return []string{below}
	}
	for k, sub := range m {
		out = append(out, paths(sub, strings.TrimPrefix(below+"."+k, "."))...)
	}
	return out
}

// checkValues says what is wrong with the values of NATS's chart.
func checkValues(text []byte, replicas string) (out []error) {
	var v map[string]any
	if err := yaml.Unmarshal(text, &v); err != nil {
		return []error{err}
	}
	for _, p := range paths(v, "") {
		known := slices.ContainsFunc(chart(), func(k string) bool {
			start, passes := strings.CutSuffix(k, "*")
			return k == p || passes && strings.HasPrefix(p, start)
		})
		if !known {
			out = append(out, fmt.Errorf("the chart has no %s", p))
		}
	}
	for way, want := range map[string]string{
		"config.cluster.enabled": "true", "config.cluster.replicas": replicas, "config.jetstream.enabled": "true", "config.jetstream.fileStore.enabled": "true",
		"config.jetstream.merge.sync_interval": "always", "config.jetstream.merge.cipher": "aes", "config.jetstream.merge.key": "<< $JETSTREAM_KEY >>",
		"config.nats.tls.enabled": "true", "tlsCA.enabled": "true", "tlsCA.secretName": "twinreel-nats-tls", "config.cluster.tls.enabled": "true", "config.monitor.enabled": "true", "config.monitor.port": "8222",
		"config.merge.00$include": "permissions/permissions.conf", "podDisruptionBudget.enabled": "true",
		"podTemplate.topologySpreadConstraints.topology.kubernetes.io/zone.minDomains":        "3",
		"podTemplate.topologySpreadConstraints.topology.kubernetes.io/zone.whenUnsatisfiable": "DoNotSchedule",
		"podTemplate.merge.spec.tolerations":                                                  "[map[effect:NoSchedule key:" + quorumOnly + " operator:Exists]]",
	} {
		if got := at(v, way); got != want {
			out = append(out, fmt.Errorf("%s is %q, want %q", way, got, want))
		}
	}
	users := map[string]string{
		"ingress": "INGRESS", "worker-primary": "WORKER_PRIMARY", "worker-backup": "WORKER_BACKUP", "reconciler": "RECONCILER", "provisioner": "PROVISIONER",
	}
	var doc struct {
		Config struct {
			Merge struct {
				Accounts map[string]struct {
					Users []struct{ User, Password, Permissions string }
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return append(out, err)
	}
	for _, u := range doc.Config.Merge.Accounts["TWINREEL"].Users {
		if want := users[u.User]; u.Permissions != "<< $"+want+" >>" || u.Password != "<< $"+want+"_PASSWORD >>" {
			out = append(out, fmt.Errorf("the user %s has the permissions %s and the password of %s", u.User, u.Permissions, u.Password))
		}
		delete(users, u.User)
	}
	for u := range users {
		out = append(out, fmt.Errorf("there is no user %s", u))
	}
	return out
}

// at returns the value at a way, as text. A key may itself have dots.
func at(v any, way string) string {
	m, ok := v.(map[string]any)
	if !ok {
		if way == "" {
			return fmt.Sprint(v)
		}
		return ""
	}
	for k, sub := range m {
		if rest, ok := strings.CutPrefix(way, k); ok && (rest == "" || rest[0] == '.') {
			if got := at(sub, strings.TrimPrefix(rest, ".")); got != "" {
				return got
			}
		}
	}
	return ""
}

func TestTheValuesOfNATSChartAreKeysOfIt(t *testing.T) {
	text, err := os.ReadFile(repo.Path(t, "deploy", "kubernetes", "overlays", "production", "nats-values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(checkValues(text, "3")...); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"a key that it has not":  {"fileStore:", "filestore:", "the chart has no config.jetstream.filestore"},
		"not encrypted":          {"      cipher: aes\n", "", "config.jetstream.merge.cipher"},
		"no route is trusted":    {"tlsCA: {enabled: true", "tlsCA: {enabled: false", "tlsCA.enabled"},
		"not synced":             {"sync_interval: always", "sync_interval: 2m", "config.jetstream.merge.sync_interval"},
		"one server":             {"replicas: 3", "replicas: 1", "config.cluster.replicas"},
		"no vote in the third":   {"key: twinreel.com/quorum-only", "key: twinreel.com/other", "podTemplate.merge.spec.tolerations"},
		"two domains":            {"minDomains: 3", "minDomains: 2", "minDomains"},
		"a user's rights":        {"permissions: << $INGRESS >>", "permissions: << $RECONCILER >>", "the user ingress has"},
		"a user without a right": {"{user: ingress, ", "{user: ingresss, ", "no user ingress"},
		"no TLS":                 {"  nats:\n    tls: {enabled: true", "  nats:\n    tls: {enabled: false", "config.nats.tls.enabled"},
	} {
		if !strings.Contains(string(text), c.old) {
			t.Fatalf("there is no %q in the values", c.old)
		}
		err := errors.Join(checkValues([]byte(strings.ReplaceAll(string(text), c.old, c.new)), "3")...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one that names %s", name, err, c.want)
		}
	}
}
