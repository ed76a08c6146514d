package kubernetes

import (
	"fmt"
	"slices"
)

// quorumOnly is the taint of the nodes in the third failure domain, where only what votes may run.
const quorumOnly = "twinreel.com/quorum-only"

// zones says what keeps an overlay of two zones from outliving one of them: there must be one of each program in either, pods must
// be parted over them, a zone that is lost must not count, and what votes must be in three.
func zones(list []Object) (out []error) {
	all, err := workloads(list)
	if err != nil {
		return []error{err}
	}
	for _, w := range all {
		say := func(format string, args ...any) {
			out = append(out, fmt.Errorf("%s %s: %s", w.kind, w.name, fmt.Sprintf(format, args...)))
		}
		spec := w.Template.Spec
		i := slices.IndexFunc(spec.TopologySpreadConstraints, func(s Spread) bool { return s.TopologyKey == "topology.kubernetes.io/zone" })
		if w.kind == "Job" {
			continue
		}
		if i < 0 || spec.TopologySpreadConstraints[i].WhenUnsatisfiable != "DoNotSchedule" {
			say("it may be all in one zone")
			continue
		}
		if w.kind == "StatefulSet" {
			votes(w, spec.TopologySpreadConstraints[i], say)
			continue
		}
		if spec.TopologySpreadConstraints[i].NodeTaintsPolicy != "Honor" {
			say("a zone that is lost counts: nothing heals in the other one (nodeTaintsPolicy)")
		}
		if terms := spec.Affinity.NodeAffinity.Required.Terms; len(terms) != 1 || len(terms[0].MatchExpressions) != 1 || len(terms[0].MatchExpressions[0].Values) != 2 {
			say("it is to run in two zones and no third")
		}
		if n := least(list, w); n < 2 {
			say("there may be %d of it: want one in each zone at least", n)
		}
	}
	return out
}

// votes: three, one in each of three domains, the one that is for voting alone included.
func votes(w Workload, s Spread, say func(string, ...any)) {
	if s.MinDomains != 3 {
		say("it is to be in 3 domains, not in %d", s.MinDomains)
	}
	if w.Replicas == nil || *w.Replicas != 3 {
		say("there are not three of it, so that one can be lost")
	}
	tolerates := false
	for _, t := range w.Template.Spec.Tolerations {
		tolerates = tolerates || t.Key == quorumOnly && t.Operator == "Exists"
	}
	if !tolerates {
		say("it does not tolerate %s: it cannot vote in the third domain", quorumOnly)
	}
}

// least is how many of a Deployment there are at the least: by itself, or by its scaler.
func least(list []Object, w Workload) int {
	if w.Replicas != nil {
		return *w.Replicas
	}
	for _, o := range list {
		var s scaled
		if o.Kind == "ScaledObject" && o.spec(&s) == nil && s.ScaleTargetRef.Name == w.name {
			return s.MinReplicaCount
		}
	}
	return 1 // as Kubernetes has it
}
