package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/twinreel/twinreel/deploy/check/internal/tools"
)

// The projects whose own descriptions the objects are held against.
func sources() (api, keda, operator tools.Module) {
	return tools.Module{Path: "k8s.io/kubernetes", Version: "v1.34.2", Sum: "h1:WQdDvYJazkmkwSncgNwGvVtaCt4TYXIU3wSMRgvp3MI="},
		tools.Module{Path: "github.com/kedacore/keda/v2", Version: "v2.21.0", Sum: "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps="},
		tools.Module{Path: "github.com/prometheus-operator/prometheus-operator", Version: "v0.85.0", Sum: "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="}
}

// Schemas writes a JSON schema for each kind of object into dir, as kubeconform looks for them: <kind>-<version>.json. They are
// strict: a field that the API does not know is an error there, too.
func Schemas(ctx context.Context, dir string) error {
	api, keda, operator := sources()
	if err := ofAPI(ctx, api, dir); err != nil {
		return err
	}
	for _, one := range []struct {
		from  tools.Module
		files []string
	}{
		{keda, []string{"config/crd/bases/keda.sh_scaledobjects.yaml"}},
		{operator, []string{
			"example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml", "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
			"example/prometheus-operator-crd/monitoring.coreos.com_scrapeconfigs.yaml",
		}},
	} {
		root, err := one.from.Dir(ctx)
		if err != nil {
			return err
		}
		for _, f := range one.files {
			if err := ofDefinition(filepath.Join(root, f), dir); err != nil {
				return fmt.Errorf("%s: %w", f, err)
			}
		}
	}
	return nil
}

// ofAPI writes the schemas of the API's own kinds.
func ofAPI(ctx context.Context, from tools.Module, dir string) error {
	root, err := from.Dir(ctx)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(root, "api", "openapi-spec", "swagger.json"))
	if err != nil {
		return err
	}
	var spec struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal(b, &spec); err != nil {
		return fmt.Errorf("the API's description: %w", err)
	}
	for _, d := range spec.Definitions {
		strict(d)
	}
	// Quantities and ports may be numbers or texts, which the description cannot say.
	spec.Definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = map[string]any{"type": []string{"string", "number"}}
	spec.Definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = map[string]any{"type": []string{"string", "integer"}}
	all, err := json.Marshal(spec.Definitions)
	if err != nil {
		return err
	}
	for name, d := range spec.Definitions {
		kinds, _ := d["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) != 1 {
			continue
		}
		kind, _ := kinds[0].(map[string]any)
		if called, _ := kind["kind"].(string); !needed(called) || !strings.HasPrefix(name, "io.k8s.api.") {
			continue
		}
		body := fmt.Sprintf(`{"$ref":"#/definitions/%s","definitions":%s}`, name, all)
		if err := os.WriteFile(filepath.Join(dir, file(kind["group"], kind["kind"], kind["version"])), []byte(body), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// needed are the kinds that are made here.
func needed(kind string) bool {
	switch kind {
	case "Namespace", "ConfigMap", "ServiceAccount", "Service", "Deployment", "StatefulSet", "Job", "NetworkPolicy", "PodDisruptionBudget":
		return true
	}
	return false
}

// ofDefinition writes the schema of a custom resource.
func ofDefinition(path, dir string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var crd struct {
		Spec struct {
			Group string `yaml:"group"`
			Names struct {
				Kind string `yaml:"kind"`
			} `yaml:"names"`
			Versions []struct {
				Name   string `yaml:"name"`
				Schema struct {
					OpenAPIV3Schema map[string]any `yaml:"openAPIV3Schema"`
				} `yaml:"schema"`
			} `yaml:"versions"`
		} `yaml:"spec"`
	}
	if err := yaml.Unmarshal(b, &crd); err != nil {
		return err
	}
	for _, v := range crd.Spec.Versions {
		schema := v.Schema.OpenAPIV3Schema
		strict(schema)
		if p, ok := schema["properties"].(map[string]any); ok {
			p["metadata"] = map[string]any{"type": "object"}
		}
		b, err := json.Marshal(schema)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file(crd.Spec.Group, crd.Spec.Names.Kind, v.Name)), b, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// strict lets an object have no fields but those that are named.
func strict(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		if _, named := s["properties"].(map[string]any); named && s["additionalProperties"] == nil && s["x-kubernetes-preserve-unknown-fields"] == nil {
			s["additionalProperties"] = false
		}
		if s["x-kubernetes-int-or-string"] == true {
			s["type"] = []string{"string", "integer"}
		}
		for _, v := range s {
			strict(v)
		}
	case []any:
		for _, v := range s {
			strict(v)
		}
	}
}

// file names a schema. kubeconform takes the version for the group where there is none.
func file(group, kind, version any) string {
	if group == "" {
		group = version
	}
	return strings.ToLower(fmt.Sprintf("%v-%v-%v.json", kind, group, version))
}

// Valid holds objects against their schemas.
func Valid(ctx context.Context, schemas string, objects []byte) error {
	tool, err := tools.Tool{Name: "kubeconform", Package: "github.com/yannh/kubeconform/cmd/kubeconform", Version: "v0.8.0"}.Path(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, tool, "-strict", "-schema-location",
		filepath.Join(schemas, "{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json"), "-")
	cmd.Stdin = bytes.NewReader(objects)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubeconform: %w\n%s", err, out)
	}
	return nil
}

// Rules makes of alert rules, as Prometheus reads them, the object that its operator reads.
func Rules(rules []byte) []byte {
	var out bytes.Buffer
	out.WriteString("# deploy/monitoring/rules.yaml, for the Prometheus operator. Do not change it here.\n" +
		"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: twinreel\nspec:\n")
	for line := range strings.Lines(string(rules)) {
		if strings.TrimSpace(line) != "" {
			out.WriteString("  ")
		}
		out.WriteString(line)
	}
	return out.Bytes()
}
