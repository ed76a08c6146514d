// Package kubernetes checks the manifests as they are applied: rendered by kustomize, valid by the API's own schemas, and by
// the rules of this house.
package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
	"github.com/twinreel/twinreel/deploy/check/internal/tools"
)

// Object is what the rules look at of an object of the API. Each kind uses some of it.
type Object struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name        string            `yaml:"name"`
		Namespace   string            `yaml:"namespace"`
		Labels      map[string]string `yaml:"labels"`
		Annotations map[string]string `yaml:"annotations"`
	} `yaml:"metadata"`
	Data map[string]string `yaml:"data"` // of a ConfigMap
	Spec yaml.Node         `yaml:"spec"`
}

// spec reads the specification as what it is.
func (o Object) spec(into any) error {
	if err := o.Spec.Decode(into); err != nil {
		return fmt.Errorf("%s %s: %w", o.Kind, o.Metadata.Name, err)
	}
	return nil
}

// Workload is a Deployment, a StatefulSet or a Job.
type Workload struct {
	Replicas *int `yaml:"replicas"`
	Selector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	} `yaml:"selector"`
	Template struct {
		Metadata struct {
			Labels map[string]string `yaml:"labels"`
		} `yaml:"metadata"`
		Spec Pod `yaml:"spec"`
	} `yaml:"template"`

	kind, name string
}

// Pod is what a pod is made from.
type Pod struct {
	ServiceAccountName           string `yaml:"serviceAccountName"`
	AutomountServiceAccountToken *bool  `yaml:"automountServiceAccountToken"`
	Grace                        int    `yaml:"terminationGracePeriodSeconds"`
	SecurityContext              struct {
		RunAsNonRoot   bool `yaml:"runAsNonRoot"`
		RunAsUser      int  `yaml:"runAsUser"`
		SeccompProfile struct {
			Type string `yaml:"type"`
		} `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	HostNetwork bool `yaml:"hostNetwork"`
	HostPID     bool `yaml:"hostPID"`
	Affinity    struct {
		NodeAffinity struct {
			Required struct {
				Terms []struct {
					MatchExpressions []struct{ Values []string } `yaml:"matchExpressions"`
				} `yaml:"nodeSelectorTerms"`
			} `yaml:"requiredDuringSchedulingIgnoredDuringExecution"`
		} `yaml:"nodeAffinity"`
	} `yaml:"affinity"`
	Tolerations []struct {
		Key      string `yaml:"key"`
		Operator string `yaml:"operator"`
		Effect   string `yaml:"effect"`
	} `yaml:"tolerations"`
	TopologySpreadConstraints []Spread    `yaml:"topologySpreadConstraints"`
	Containers                []Container `yaml:"containers"`
	InitContainers            []Container `yaml:"initContainers"`
	Volumes                   []Volume    `yaml:"volumes"`
}

// Spread says over what pods are spread.
type Spread struct {
	TopologyKey       string `yaml:"topologyKey"`
	WhenUnsatisfiable string `yaml:"whenUnsatisfiable"`
	MinDomains        int    `yaml:"minDomains"`
	NodeTaintsPolicy  string `yaml:"nodeTaintsPolicy"`
	LabelSelector     struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	} `yaml:"labelSelector"`
}

// Container is one of a pod.
type Container struct {
	Name    string `yaml:"name"`
	Image   string `yaml:"image"`
	EnvFrom []struct {
		ConfigMapRef struct {
			Name string `yaml:"name"`
		} `yaml:"configMapRef"`
		SecretRef struct {
			Name string `yaml:"name"`
		} `yaml:"secretRef"`
	} `yaml:"envFrom"`
	Env []struct {
		Name  string `yaml:"name"`
		Value string `yaml:"value"`
	} `yaml:"env"`
	Ports []struct {
		Name          string `yaml:"name"`
		ContainerPort int    `yaml:"containerPort"`
	} `yaml:"ports"`
	Lifecycle struct {
		PreStop struct {
			Sleep struct {
				Seconds int `yaml:"seconds"`
			} `yaml:"sleep"`
		} `yaml:"preStop"`
	} `yaml:"lifecycle"`
	StartupProbe    *Probe `yaml:"startupProbe"`
	LivenessProbe   *Probe `yaml:"livenessProbe"`
	ReadinessProbe  *Probe `yaml:"readinessProbe"`
	Resources       Limits `yaml:"resources"`
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Privileged               bool  `yaml:"privileged"`
		Capabilities             struct {
			Add, Drop []string
		} `yaml:"capabilities"`
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name      string `yaml:"name"`
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

// Limits are what a container asks for, and what it may take.
type Limits struct {
	Requests, Limits map[string]string
}

// Probe asks a container how it is.
type Probe struct {
	HTTPGet struct {
		Path string `yaml:"path"`
		Port string `yaml:"port"`
	} `yaml:"httpGet"`
	TCPSocket struct {
		Port string `yaml:"port"`
	} `yaml:"tcpSocket"`
}

// port is the port that is asked.
func (p Probe) port() string { return p.HTTPGet.Port + p.TCPSocket.Port }

// Volume is what a container may mount.
type Volume struct {
	Name   string `yaml:"name"`
	Secret struct {
		SecretName string `yaml:"secretName"`
	} `yaml:"secret"`
	ConfigMap struct {
		Name string `yaml:"name"`
	} `yaml:"configMap"`
}

// Service is how pods are found.
type Service struct {
	Type                  string            `yaml:"type"`
	ExternalTrafficPolicy string            `yaml:"externalTrafficPolicy"`
	Ranges                []string          `yaml:"loadBalancerSourceRanges"`
	Selector              map[string]string `yaml:"selector"`
	Ports                 []struct {
		TargetPort string `yaml:"targetPort"`
	} `yaml:"ports"`
}

// Overlays are the folders that can be applied.
func Overlays() []string {
	r := Regions()
	return slices.Concat([]string{"single-node", "production"}, r[:])
}

// Render returns what kustomize makes of an overlay, and the objects in it.
func Render(ctx context.Context, overlay string) (text []byte, list []Object, err error) {
	root, err := repo.Root()
	if err != nil {
		return nil, nil, err
	}
	tool, err := tools.Tool{Name: "kustomize", Package: "sigs.k8s.io/kustomize/kustomize/v5", Version: "v5.8.2"}.Path(ctx)
	if err != nil {
		return nil, nil, err
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, tool, "build", filepath.Join(root, "deploy", "kubernetes", "overlays", overlay))
	cmd.Stderr = &stderr
	if text, err = cmd.Output(); err != nil {
		return nil, nil, fmt.Errorf("kustomize build %s: %w\n%s", overlay, err, stderr.String())
	}
	list, err = Parse(text)
	return text, list, err
}

// Parse reads objects.
func Parse(text []byte) (list []Object, err error) {
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o Object
		err := dec.Decode(&o)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
}

// workloads returns all that runs pods.
func workloads(list []Object) (out []Workload, err error) {
	for _, o := range list {
		switch o.Kind {
		case "Deployment", "StatefulSet", "Job":
			w := Workload{kind: o.Kind, name: o.Metadata.Name}
			if err := o.spec(&w); err != nil {
				return nil, err
			}
			out = append(out, w)
		}
	}
	return out, nil
}

// program is which of the four programs a container is; "" for none.
func (c Container) program() string {
	name := c.Image[strings.LastIndex(c.Image, "/")+1:]
	name, _, _ = strings.Cut(strings.TrimPrefix(name, "twinreel-"), ":")
	for _, p := range repo.Programs() {
		if name == p {
			return p
		}
	}
	return ""
}

// within says that all of want are among have.
func within(want, have map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return len(want) > 0
}
