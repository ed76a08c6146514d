package kubernetes

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// known asks the built programs for their settings.
func known(t *testing.T) Settings {
	t.Helper()
	out := Settings{}
	for _, p := range repo.Programs() {
		list, err := repo.Settings(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		out[p] = list
	}
	return out
}

func TestEachOverlayIsValidAndByTheRules(t *testing.T) {
	schemas := t.TempDir()
	if err := Schemas(t.Context(), schemas); err != nil {
		t.Fatal(err)
	}
	settings := known(t)
	for _, overlay := range Overlays() {
		t.Run(overlay, func(t *testing.T) {
			text, list, err := Render(t.Context(), overlay)
			if err != nil {
				t.Fatal(err)
			}
			if err := Valid(t.Context(), schemas, text); err != nil {
				t.Error(err)
			}
			problems := Check(list, settings)
			if overlay != "single-node" {
				problems = append(problems, zones(list)...)
			}
			for _, problem := range problems {
				t.Error(problem)
			}
		})
	}
}

// Each thing that is broken is noticed, and by its name.
func TestWhatIsBrokenIsNoticed(t *testing.T) {
	settings := known(t)
	text, _, err := Render(t.Context(), "production")
	if err != nil {
		t.Fatal(err)
	}
	schemas := t.TempDir()
	if err := Schemas(t.Context(), schemas); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"a probe is dropped":            {"readinessProbe:", "x-readinessProbe:", "readinessProbe is missing"},
		"a probe asks another port":     {"path: /readyz\n            port: admin", "path: /readyz\n            port: metrics", `asks port "metrics"`},
		"a probe asks another path":     {"path: /readyz", "path: /healthz", `asks "/healthz"`},
		"a secret is swapped":           {"secretName: twinreel-worker-primary", "secretName: twinreel-worker-backup", "mounts the Secret twinreel-worker-backup"},
		"a variable is misspelt":        {"TWINREEL_S3_REGION:", "TWINREEL_S3_REGIO:", "does not know TWINREEL_S3_REGIO"},
		"a variable is removed":         {"TWINREEL_S3_BUCKET:", "NOT_S3_BUCKET:", "requires TWINREEL_S3_BUCKET"},
		"a secret stands in the open":   {"name: TWINREEL_AUDIT_KEY_FILE", "name: TWINREEL_AUDIT_KEY", "the secret TWINREEL_AUDIT_KEY stands"},
		"a file is mounted nowhere":     {"/etc/twinreel/secrets/audit-key", "/etc/twinreel/other/audit-key", "below none of its mounts"},
		"unsigned webhooks":             {"TWINREEL_NATS_USER: ingress", "TWINREEL_NATS_USER: ingress\n  TWINREEL_ALLOW_UNSIGNED: \"true\"", "forged webhooks"},
		"root":                          {"runAsNonRoot: true", "runAsNonRoot: false", "runs as root"},
		"a writable root":               {"readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem"},
		"a capability":                  {"drop:\n            - ALL", "drop:\n            - NET_RAW", "not all capabilities"},
		"no limit":                      {"limits:\n            ephemeral-storage: 64Mi\n            memory: 384Mi", "limits:\n            ephemeral-storage: 64Mi", "limits.memory is missing"},
		"killed before it is done":      {"terminationGracePeriodSeconds: 330", "terminationGracePeriodSeconds: 30", "killed before"},
		"a latest image":                {"image: registry.example.com/twinreel-ingress:v0.0.0", "image: registry.example.com/twinreel-ingress:latest", "has no version"},
		"a policy is opened":            {"cidr: 0.0.0.0/0\n        except:\n        - 10.0.0.0/8\n        - 172.16.0.0/12\n        - 192.168.0.0/16\n        - 100.64.0.0/10\n        - 169.254.0.0/16", "cidr: 0.0.0.0/0", "a way is open that nobody needs"},
		"nothing closes it":             {"podSelector: {}\n  policyTypes:\n  - Ingress\n  - Egress", "podSelector: {}\n  policyTypes: []", "no policy closes what nobody has named"},
		"a policy is closed":            {"port: 26379", "port: 26380", "a way is closed that is needed"},
		"a service finds nothing":       {"selector:\n    app.kubernetes.io/name: ingress", "selector:\n    app.kubernetes.io/name: ingres", "finds nothing"},
		"a service's port":              {"targetPort: webhooks", "targetPort: webhook", "has no port webhook"},
		"a rule opens all":              {"    - port: webhooks\n      protocol: TCP\n", "    - port: webhooks\n      protocol: TCP\n  - {}\n", "a way is open that nobody needs"},
		"a way to the inside":           {"        - 10.0.0.0/8\n", "", "a way is open that nobody needs"},
		"no names":                      {"protocol: UDP", "protocol: TCP", "a way is closed that is needed"},
		"no role":                       {"eks.amazonaws.com/role-arn: arn:aws:iam::123456789012:role/twinreel-writer", "a: b", "who it is there"},
		"a role that was not set":       {"role/twinreel-writer", "role/set-by-the-overlay", "was not set by the overlay"},
		"an identity's label":           {"azure.workload.identity/use: \"true\"", "azure.workload.identity/use: \"false\"", "the label azure.workload.identity/use"},
		"another user on NATS":          {"TWINREEL_NATS_USER: worker-primary", "TWINREEL_NATS_USER: reconciler", "it is the user reconciler"},
		"another secret's file":         {"value: /etc/twinreel/secrets/webhook-secret", "value: /etc/twinreel/secrets/nats-password", "want the key webhook-secret"},
		"a zone that is lost counts":    {"nodeTaintsPolicy: Honor", "nodeTaintsPolicy: Ignore", "nothing heals"},
		"all in one zone":               {"whenUnsatisfiable: DoNotSchedule", "whenUnsatisfiable: ScheduleAnyway", "all in one zone"},
		"one zone":                      {"                - us-east-1b\n", "", "in two zones"},
		"one of a program":              {"replicas: 2\n", "replicas: 1\n", "there may be 1 of it"},
		"one worker":                    {"minReplicaCount: 2", "minReplicaCount: 1", "there may be 1 of it"},
		"two votes":                     {"replicas: 3\n", "replicas: 2\n", "there are not three of it"},
		"no vote in the third domain":   {"key: twinreel.com/quorum-only", "key: twinreel.com/other", "cannot vote in the third domain"},
		"a vote in two domains":         {"minDomains: 3", "minDomains: 2", "in 3 domains"},
		"a node that cannot be emptied": {"maxUnavailable: 1\n  selector", "maxUnavailable: 0\n  selector", "PodDisruptionBudget of maxUnavailable 1"},
		"no pause for load balancers":   {"seconds: 15", "seconds: 1", "preStop gives"},
		"another arithmetic":            {"metricType: AverageValue\n      target", "metricType: Value\n      target", "metricType is"},
		"figures from elsewhere":        {"nats-headless.twinreel.svc", "nats.twinreel.svc", "headless"},
		"a scaler to none":              {"minReplicaCount: 2", "minReplicaCount: 0", "never to none"},
		"a scaler of another consumer":  {"consumer: primary-backfill", "consumer: backup-backfill", "no consumer of primary"},
		"a formula":                     {"(live + backfill * open) * well", "(live + backlog * open) * well", "names backlog"},
		"a scaler's figures":            {`ignoreNullValues: "false"`, `ignoreNullValues: "true"`, "takes 0 for one"},
		"a scaler that hurries":         {"periodSeconds: 300", "periodSeconds: 60", "goes down by"},
		"a field that the API has not":  {"serviceAccountName: ingress", "serviceAccountNam: ingress", "serviceAccountNam"},
		"a field that KEDA has not":     {"cooldownPeriod: 300", "coolDownPeriod: 300", "coolDownPeriod"},
		"a type that the API has not":   {"replicas: 4\n", "replicas: four\n", "replicas"},
		"a monitor's field":             {"podMetricsEndpoints:", "podMetricsEndpoint:", "podMetricsEndpoint"},
		"how many, beside the scaler's": {"  name: worker-primary\n  namespace: twinreel\nspec:\n", "  name: worker-primary\n  namespace: twinreel\nspec:\n  replicas: 3\n", "its target says how many"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !bytes.Contains(text, []byte(c.old)) {
				t.Fatalf("there is no %q in what is rendered", c.old)
			}
			broken := bytes.ReplaceAll(text, []byte(c.old), []byte(c.new))
			var said []string
			list, err := Parse(broken)
			if err != nil {
				said = append(said, err.Error())
			} else {
				for _, problem := range append(Check(list, settings), zones(list)...) {
					said = append(said, problem.Error())
				}
			}
			if err := Valid(t.Context(), schemas, broken); err != nil {
				said = append(said, err.Error())
			}
			if all := strings.Join(said, "\n"); len(said) == 0 || !strings.Contains(all, c.want) {
				t.Errorf("%q is not among what was said:\n%s", c.want, all)
			}
		})
	}
}

// What users of NATS may do is told once; the overlays have copies, because kustomize reads nothing outside them.
func TestThePermissionsAreThoseTheTestsRunWith(t *testing.T) {
	for _, copied := range []string{"overlays/production/permissions.conf", "overlays/single-node/permissions.conf", "components/region-hub/region.conf"} {
		path := repo.Path(t, "deploy", "kubernetes", copied)
		of := repo.Path(t, "deploy", "local", "natsserver", filepath.Base(copied))
		want, err := os.ReadFile(of)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not %s: copy it there (%v)", path, of, err)
		}
	}
}

// The alert rules are told once, too.
func TestTheRulesAreThoseOfMonitoring(t *testing.T) {
	rules, err := os.ReadFile(repo.Path(t, "deploy", "monitoring", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	path := repo.Path(t, "deploy", "kubernetes", "components", "monitoring", "rules.yaml")
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, Rules(rules)) {
		t.Errorf("%s is not deploy/monitoring/rules.yaml: write it again with `go run ./internal/kubernetes/write` in deploy/check (%v)", path, err)
	}
}
