package kubernetes

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scaled is a ScaledObject.
type scaled struct {
	ScaleTargetRef struct {
		Name string `yaml:"name"`
	} `yaml:"scaleTargetRef"`
	MinReplicaCount int `yaml:"minReplicaCount"`
	MaxReplicaCount int `yaml:"maxReplicaCount"`
	CooldownPeriod  int `yaml:"cooldownPeriod"`
	Fallback        struct {
		FailureThreshold int `yaml:"failureThreshold"`
		Replicas         int `yaml:"replicas"`
	} `yaml:"fallback"`
	Advanced struct {
		ScalingModifiers struct {
			Formula string `yaml:"formula"`
			Target  string `yaml:"target"`
			Type    string `yaml:"metricType"`
		} `yaml:"scalingModifiers"`
		HorizontalPodAutoscalerConfig struct {
			Behavior struct {
				ScaleDown struct {
					Policies []struct {
						Type          string `yaml:"type"`
						Value         int    `yaml:"value"`
						PeriodSeconds int    `yaml:"periodSeconds"`
					} `yaml:"policies"`
				} `yaml:"scaleDown"`
			} `yaml:"behavior"`
		} `yaml:"horizontalPodAutoscalerConfig"`
	} `yaml:"advanced"`
	Triggers []struct {
		Type     string            `yaml:"type"`
		Name     string            `yaml:"name"`
		Metadata map[string]string `yaml:"metadata"`
	} `yaml:"triggers"`
}

var word = regexp.MustCompile(`[A-Za-z_]+`)

// scalers: one for each tier that has any, of a target that leaves its number to it, by consumers that exist, with a way on where
// there are no figures, never to none, and not down faster than a worker can finish.
func (c *checker) scalers() {
	for _, o := range c.list {
		if o.Kind != "ScaledObject" {
			continue
		}
		var s scaled
		say := func(format string, args ...any) {
			c.problems = append(c.problems, fmt.Errorf("ScaledObject %s: %s", o.Metadata.Name, fmt.Sprintf(format, args...)))
		}
		if err := o.spec(&s); err != nil {
			say("%v", err)
			continue
		}
		i := slices.IndexFunc(c.workloads, func(w Workload) bool { return w.kind == "Deployment" && w.name == s.ScaleTargetRef.Name })
		if i < 0 {
			say("there is no Deployment %s", s.ScaleTargetRef.Name)
			continue
		}
		w := c.workloads[i]
		if w.Replicas != nil {
			say("its target says how many there are, too: each deployment would undo what was scaled")
		}
		if s.MinReplicaCount < 1 || s.MaxReplicaCount <= s.MinReplicaCount {
			say("from %d to %d: never to none, and upwards", s.MinReplicaCount, s.MaxReplicaCount)
		}
		if s.Fallback.FailureThreshold < 1 || s.Fallback.Replicas < s.MinReplicaCount {
			say("fallback: %d replicas after %d failures", s.Fallback.Replicas, s.Fallback.FailureThreshold)
		}
		tier := strings.TrimPrefix(w.name, "worker-")
		names := c.triggers(o, s, tier, say)
		for _, n := range word.FindAllString(s.Advanced.ScalingModifiers.Formula, -1) {
			if !slices.Contains(names, n) {
				say("its formula names %s, which is no trigger", n)
			}
		}
		for _, n := range names {
			if !slices.Contains(word.FindAllString(s.Advanced.ScalingModifiers.Formula, -1), n) {
				say("its formula leaves the trigger %s out", n)
			}
		}
		if t := s.Advanced.ScalingModifiers.Type; t != "AverageValue" {
			say("metricType is %q: its target is for each worker", t)
		}
		if n, err := strconv.Atoi(s.Advanced.ScalingModifiers.Target); err != nil || n < 1 {
			say("its target is %q", s.Advanced.ScalingModifiers.Target)
		}
		c.slowly(s, w, say)
	}
}

// triggers: each of its tier; by a consumer of it, or a query that names it and fails where there are no figures.
func (c *checker) triggers(o Object, s scaled, tier string, say func(string, ...any)) (names []string) {
	for _, t := range s.Triggers {
		names = append(names, t.Name)
		switch t.Type {
		case "nats-jetstream":
			if consumer := t.Metadata["consumer"]; consumer != tier && consumer != tier+"-backfill" {
				say("%s: %s is no consumer of %s", t.Name, consumer, tier)
			}
			if at := t.Metadata["natsServerMonitoringEndpoint"]; at != "nats-headless."+o.Metadata.Namespace+".svc.cluster.local:8222" {
				say("%s: asks %s: KEDA puts each server's name before it, so that it is the headless service of NATS here", t.Name, at)
			}
			if t.Metadata["stream"] != "RECORDINGS" || t.Metadata["account"] != "TWINREEL" {
				say("%s: stream %q of account %q", t.Name, t.Metadata["stream"], t.Metadata["account"])
			}
		case "prometheus":
			if !strings.Contains(t.Metadata["query"], `tier="`+tier+`"`) {
				say("%s: its query does not name the tier %s", t.Name, tier)
			}
			if t.Metadata["ignoreNullValues"] != "false" {
				say("%s: where there are no figures it takes 0 for one", t.Name)
			}
		default:
			say("%s: a trigger of type %s", t.Name, t.Type)
		}
	}
	return names
}

// slowly: not down faster than a worker may take to finish what it has begun.
func (c *checker) slowly(s scaled, w Workload, say func(string, ...any)) {
	drain, err := time.ParseDuration(c.environment(w, w.Template.Spec.Containers[0])["TWINREEL_DRAIN_TIMEOUT"])
	if err != nil {
		say("TWINREEL_DRAIN_TIMEOUT of %s: %v", w.name, err)
	}
	if time.Duration(s.CooldownPeriod)*time.Second < drain {
		say("cooldownPeriod is %d s, and a worker has %s to finish", s.CooldownPeriod, drain)
	}
	policies := s.Advanced.HorizontalPodAutoscalerConfig.Behavior.ScaleDown.Policies
	if len(policies) == 0 {
		say("nothing says how fast it goes down")
	}
	for _, p := range policies {
		if p.Type != "Pods" || time.Duration(p.PeriodSeconds)*time.Second < drain*time.Duration(p.Value) {
			say("goes down by %d %s in %d s, and a worker has %s to finish", p.Value, p.Type, p.PeriodSeconds, drain)
		}
	}
}
