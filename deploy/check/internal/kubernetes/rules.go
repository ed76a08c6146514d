package kubernetes

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// Settings are the settings of each program.
type Settings map[string][]repo.Setting

// Check says what is wrong with what an overlay makes.
func Check(list []Object, known Settings) []error {
	all, err := workloads(list)
	if err != nil {
		return []error{err}
	}
	c := &checker{list: list, workloads: all, known: known}
	for _, w := range all {
		c.hardened(w)
		c.bounded(w)
		c.probed(w)
		c.told(w)
		c.secrets(w)
		c.spread(w)
	}
	c.services()
	c.budgets()
	c.arrows()
	c.scalers()
	return c.problems
}

type checker struct {
	list      []Object
	workloads []Workload
	known     Settings
	problems  []error
}

func (c *checker) say(w Workload, format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("%s %s: %s", w.kind, w.name, fmt.Sprintf(format, args...)))
}

// hardened: nobody's root, nothing to write to, no way to become more.
func (c *checker) hardened(w Workload) {
	pod := w.Template.Spec
	if !pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.RunAsUser == 0 {
		c.say(w, "runs as root, or may: runAsNonRoot and runAsUser")
	}
	if pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
		c.say(w, "seccompProfile is not RuntimeDefault")
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		c.say(w, "gets a token of Kubernetes' API, which nothing here needs: automountServiceAccountToken")
	}
	if pod.HostNetwork || pod.HostPID {
		c.say(w, "shares its node's network or processes")
	}
	for _, one := range slices.Concat(pod.Containers, pod.InitContainers) {
		s := one.SecurityContext
		if !s.ReadOnlyRootFilesystem {
			c.say(w, "%s: readOnlyRootFilesystem is not set", one.Name)
		}
		if s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Privileged {
			c.say(w, "%s: allowPrivilegeEscalation is not false, or it is privileged", one.Name)
		}
		if !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) || len(s.Capabilities.Add) > 0 {
			c.say(w, "%s: not all capabilities are dropped", one.Name)
		}
		if _, tag, tagged := strings.Cut(one.Image, ":"); !tagged || tag == "latest" {
			c.say(w, "%s: the image %s has no version", one.Name, one.Image)
		}
	}
}

// bounded: what it asks for, and what it may take. A bound on CPU would only make it slow.
func (c *checker) bounded(w Workload) {
	for _, one := range w.Template.Spec.Containers {
		for _, want := range []struct {
			what string
			have map[string]string
			name string
		}{
			{"requests", one.Resources.Requests, "cpu"},
			{"requests", one.Resources.Requests, "memory"},
			{"limits", one.Resources.Limits, "memory"},
			{"limits", one.Resources.Limits, "ephemeral-storage"},
		} {
			if want.have[want.name] == "" {
				c.say(w, "%s: resources.%s.%s is missing", one.Name, want.what, want.name)
			}
		}
	}
}

// probed: asked how it is, at a port and a path that exist.
func (c *checker) probed(w Workload) {
	if w.kind == "Job" {
		return
	}
	for _, one := range w.Template.Spec.Containers {
		probes := map[string]*Probe{"livenessProbe": one.LivenessProbe, "readinessProbe": one.ReadinessProbe}
		paths := map[string]string{}
		if one.program() != "" {
			probes["startupProbe"] = one.StartupProbe
			paths = map[string]string{"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
		}
		for name, p := range probes {
			switch {
			case p == nil:
				c.say(w, "%s: %s is missing", one.Name, name)
			case !slices.ContainsFunc(one.Ports, func(port struct {
				Name          string `yaml:"name"`
				ContainerPort int    `yaml:"containerPort"`
			},
			) bool {
				return port.Name == p.port()
			}):
				c.say(w, "%s: %s asks port %q, which it does not have", one.Name, name, p.port())
			case paths[name] != "" && p.HTTPGet.Path != paths[name]:
				c.say(w, "%s: %s asks %q, want %s", one.Name, name, p.HTTPGet.Path, paths[name])
			}
		}
	}
}

// environment is what a container is told, name to value, by ConfigMaps and by itself.
func (c *checker) environment(w Workload, one Container) map[string]string {
	out := map[string]string{}
	for _, from := range one.EnvFrom {
		if from.ConfigMapRef.Name == "" {
			continue
		}
		data, there := c.config(from.ConfigMapRef.Name)
		if !there {
			c.say(w, "%s: there is no ConfigMap %s", one.Name, from.ConfigMapRef.Name)
		}
		for k, v := range data {
			out[k] = v
		}
	}
	for _, e := range one.Env {
		out[e.Name] = e.Value
	}
	return out
}

func (c *checker) config(name string) (map[string]string, bool) {
	for _, o := range c.list {
		if o.Kind == "ConfigMap" && o.Metadata.Name == name {
			return o.Data, true
		}
	}
	return nil, false
}

// told: only what the program knows, all that it requires, no secret but by a file, never that webhooks need no signature; and
// time enough to finish what it has begun.
func (c *checker) told(w Workload) {
	for _, one := range w.Template.Spec.Containers {
		program := one.program()
		if program == "" {
			continue
		}
		env := c.environment(w, one)
		for name, value := range env {
			if !strings.HasPrefix(name, "TWINREEL_") {
				continue
			}
			s, byFile := setting(c.known[program], name)
			switch {
			case s == nil:
				c.say(w, "%s does not know %s", program, name)
			case s.Secret && !byFile:
				c.say(w, "the secret %s stands in the environment: name a file, %s_FILE", name, name)
			case byFile && path.Base(value) != keyOf(name):
				c.say(w, "%s names %s, want the key %s", name, value, keyOf(name))
			case name == "TWINREEL_NATS_USER" && value != userOf(w.name):
				c.say(w, "it is the user %s on NATS, want %s", value, userOf(w.name))
			case byFile && !mounted(w, one, value):
				c.say(w, "%s names %s, below none of its mounts", name, value)
			case name == "TWINREEL_ALLOW_UNSIGNED":
				c.say(w, "%s: forged webhooks would be taken", name)
			case strings.HasPrefix(value, "set-by-the-overlay"):
				c.say(w, "%s was not set by the overlay", name)
			}
		}
		if w.kind == "Job" {
			continue // a command needs what it talks to alone
		}
		for _, s := range c.known[program] {
			if s.Required && env[s.Name] == "" && env[s.Name+"_FILE"] == "" {
				c.say(w, "%s requires %s", program, s.Name)
			}
		}
		drain := 25 * time.Second // by default
		if v := env["TWINREEL_DRAIN_TIMEOUT"]; v != "" {
			var err error
			if drain, err = time.ParseDuration(v); err != nil {
				c.say(w, "TWINREEL_DRAIN_TIMEOUT: %v", err)
			}
		}
		pause := time.Duration(one.Lifecycle.PreStop.Sleep.Seconds) * time.Second
		if program == "ingress" && pause < 10*time.Second {
			c.say(w, "preStop gives load balancers %s to stop sending it webhooks", pause)
		}
		drain += pause
		if grace := time.Duration(w.Template.Spec.Grace) * time.Second; grace < drain+10*time.Second {
			c.say(w, "terminationGracePeriodSeconds is %s: it is killed before TWINREEL_DRAIN_TIMEOUT, %s, is over", grace, drain)
		}
	}
}

// setting finds what a variable sets; byFile: by the name of a file.
func setting(list []repo.Setting, name string) (s *repo.Setting, byFile bool) {
	for i := range list {
		switch {
		case list[i].Name == name:
			return &list[i], false
		case list[i].Secret && list[i].Name+"_FILE" == name:
			return &list[i], true
		}
	}
	return nil, false
}

// keyOf is the key of a Secret that a variable's file is: TWINREEL_AUDIT_KEY_FILE's is audit-key.
func keyOf(variable string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(variable, "TWINREEL_"), "_FILE"), "_", "-"))
}

// userOf is who a workload is on NATS.
func userOf(workload string) string {
	switch workload {
	case "provision":
		return "provisioner"
	case abroad:
		return "reconciler"
	}
	return workload
}

// mounted says that a file is below one of a container's mounts of a Secret.
func mounted(w Workload, one Container, file string) bool {
	for _, m := range one.VolumeMounts {
		for _, v := range w.Template.Spec.Volumes {
			if v.Name == m.Name && v.Secret.SecretName != "" && path.Dir(file) == m.MountPath {
				return true
			}
		}
	}
	return false
}

// secrets: each sees its own, and none another's.
func (c *checker) secrets(w Workload) {
	own := "twinreel-" + w.name
	for _, v := range w.Template.Spec.Volumes {
		if s := v.Secret.SecretName; s != "" && s != own && s != own+"-tls" {
			c.say(w, "mounts the Secret %s, want none but %s", s, own)
		}
	}
	for _, one := range w.Template.Spec.Containers {
		for _, from := range one.EnvFrom {
			if s := from.SecretRef.Name; s != "" && s != own {
				c.say(w, "%s: takes its environment from the Secret %s, want none but %s", one.Name, s, own)
			}
		}
		if one.program() != "" && w.Template.Spec.ServiceAccountName != w.name {
			c.say(w, "runs as the ServiceAccount %q, want its own", w.Template.Spec.ServiceAccountName)
		}
	}
	sa := w.Template.Spec.ServiceAccountName
	if sa != "" && !c.has("ServiceAccount", sa) {
		c.say(w, "there is no ServiceAccount %s", sa)
	}
	c.identities(w, sa)
}

// identities: who has to do with a store is somebody in its cloud, and nobody else is.
func (c *checker) identities(w Workload, sa string) {
	annotations := map[string]string{}
	for _, o := range c.list {
		if o.Kind == "ServiceAccount" && o.Metadata.Name == sa {
			annotations = o.Metadata.Annotations
		}
	}
	env := map[string]string{}
	for _, one := range w.Template.Spec.Containers {
		for k, v := range c.environment(w, one) {
			env[k] = v
		}
	}
	for _, cloud := range []struct{ setting, annotation string }{
		{"TWINREEL_S3_BUCKET", "eks.amazonaws.com/role-arn"}, {"TWINREEL_AZURE_CONTAINER", "azure.workload.identity/client-id"},
	} {
		switch who := annotations[cloud.annotation]; {
		case (env[cloud.setting] != "") != (who != ""):
			c.say(w, "it has to do with the store: %v; who it is there (%s): %q", env[cloud.setting] != "", cloud.annotation, who)
		case strings.Contains(who, "set-by-the-overlay") || strings.HasPrefix(who, "00000000-"):
			c.say(w, "%s was not set by the overlay", cloud.annotation)
		}
	}
	if use := w.Template.Metadata.Labels["azure.workload.identity/use"]; (use == "true") != (annotations["azure.workload.identity/client-id"] != "") {
		c.say(w, "the label azure.workload.identity/use is %q", use)
	}
}

func (c *checker) has(kind, name string) bool {
	return slices.ContainsFunc(c.list, func(o Object) bool { return o.Kind == kind && o.Metadata.Name == name })
}

// spread: over zones and over nodes, by a selector that is its own.
func (c *checker) spread(w Workload) {
	if w.kind != "Deployment" {
		return
	}
	for _, key := range []string{"topology.kubernetes.io/zone", "kubernetes.io/hostname"} {
		i := slices.IndexFunc(w.Template.Spec.TopologySpreadConstraints, func(s Spread) bool { return s.TopologyKey == key })
		if i < 0 || !within(w.Template.Spec.TopologySpreadConstraints[i].LabelSelector.MatchLabels, w.Template.Metadata.Labels) {
			c.say(w, "is not spread over %s", key)
		}
	}
}

// services: each finds pods that have its ports.
func (c *checker) services() {
	for _, o := range c.list {
		if o.Kind != "Service" {
			continue
		}
		var s Service
		if err := o.spec(&s); err != nil {
			c.problems = append(c.problems, err)
			continue
		}
		if s.Selector[name] == "nats" && !slices.ContainsFunc(c.workloads, func(w Workload) bool { return w.name == "nats" }) {
			c.ofNATS(o, s)
			continue
		}
		found := false
		for _, w := range c.workloads {
			if !within(s.Selector, w.Template.Metadata.Labels) {
				continue
			}
			found = true
			for _, p := range s.Ports {
				if w.port(p.TargetPort) == 0 {
					c.problems = append(c.problems, fmt.Errorf("Service %s: %s has no port %s", o.Metadata.Name, w.name, p.TargetPort))
				}
			}
		}
		if !found {
			c.problems = append(c.problems, fmt.Errorf("Service %s: its selector finds nothing", o.Metadata.Name))
		}
	}
}

// port is the number of a named port of a workload, 0 for none.
func (w Workload) port(name string) int {
	for _, one := range w.Template.Spec.Containers {
		for _, p := range one.Ports {
			if p.Name == name || fmt.Sprint(p.ContainerPort) == name {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// budgets: where several of a Deployment run, not all of them are taken away at once.
func (c *checker) budgets() {
	for _, w := range c.workloads {
		if w.kind != "Deployment" || w.Replicas != nil && *w.Replicas == 1 {
			continue
		}
		found := false
		for _, o := range c.list {
			var b struct {
				MaxUnavailable string `yaml:"maxUnavailable"`
				Selector       struct {
					MatchLabels map[string]string `yaml:"matchLabels"`
				} `yaml:"selector"`
			}
			if o.Kind == "PodDisruptionBudget" && o.spec(&b) == nil && b.MaxUnavailable == "1" && within(b.Selector.MatchLabels, w.Template.Metadata.Labels) {
				found = true
			}
		}
		if !found && !c.alone() {
			c.say(w, "has no PodDisruptionBudget of maxUnavailable 1")
		}
	}
}

// alone says that all is on one node, where a budget would only keep the node from being emptied.
func (c *checker) alone() bool {
	return !slices.ContainsFunc(c.list, func(o Object) bool { return o.Kind == "PodDisruptionBudget" })
}
