package kubernetes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// policy is a NetworkPolicy.
type policy struct {
	PodSelector selector `yaml:"podSelector"`
	PolicyTypes []string `yaml:"policyTypes"`
	Ingress     []netIn  `yaml:"ingress"`
	Egress      []netOut `yaml:"egress"`
}

type netIn struct {
	From  []peer `yaml:"from"`
	Ports []port `yaml:"ports"`
}

type netOut struct {
	To    []peer `yaml:"to"`
	Ports []port `yaml:"ports"`
}

type port struct {
	Protocol string `yaml:"protocol"`
	Port     string `yaml:"port"`
}

type peer struct {
	PodSelector       *selector `yaml:"podSelector"`
	NamespaceSelector *selector `yaml:"namespaceSelector"`
	IPBlock           *struct {
		CIDR   string   `yaml:"cidr"`
		Except []string `yaml:"except"`
	} `yaml:"ipBlock"`
}

type selector struct {
	MatchLabels      map[string]string `yaml:"matchLabels"`
	MatchExpressions []struct {
		Key, Operator string
		Values        []string
	} `yaml:"matchExpressions"`
}

// name is the label that each pod here is told by.
const name = "app.kubernetes.io/name"

// selects says that a pod of that name is selected. It knows selectors by that label alone, and everything.
func (s selector) selects(pod string) bool {
	if v, ok := s.MatchLabels[name]; ok && v != pod {
		return false
	}
	for _, e := range s.MatchExpressions {
		if e.Key != name || e.Operator != "In" || !slices.Contains(e.Values, pod) {
			return false
		}
	}
	return true
}

// text names whoever a selector of namespaces selects.
func (s selector) text() string {
	var out []string
	for k, v := range s.MatchLabels {
		out = append(out, strings.TrimPrefix(k, "kubernetes.io/metadata.name")+"="+v)
	}
	slices.Sort(out)
	return strings.TrimPrefix(strings.Join(out, ","), "=")
}

// Arrows are all ways that are open, as "from → to:port". Whoever is not in the namespace is named by its namespace; outside is
// everybody else.
//
// A way between two pods is open where both ends allow it; ends that are not ours allow it by themselves.
func Arrows(list []Object, pods []string, number func(pod, port string) string) ([]string, error) {
	var policies []policy
	for _, o := range list {
		if o.Kind != "NetworkPolicy" {
			continue
		}
		var p policy
		if err := o.spec(&p); err != nil {
			return nil, err
		}
		policies = append(policies, p)
	}
	outward, inward := map[string]bool{}, map[string]bool{}
	for _, pod := range pods {
		closed := map[string]bool{}
		for _, p := range policies {
			if !p.PodSelector.selects(pod) {
				continue
			}
			for _, t := range p.PolicyTypes {
				closed[t] = true
			}
			for _, rule := range p.Egress {
				for _, to := range ends(rule.To, pods) {
					for _, at := range all(rule.Ports) {
						outward[pod+" → "+to+":"+at.Port+at.udp()] = true
					}
				}
			}
			for _, rule := range p.Ingress {
				for _, from := range ends(rule.From, pods) {
					for _, at := range all(rule.Ports) {
						inward[from+" → "+pod+":"+number(pod, at.Port)+at.udp()] = true
					}
				}
			}
		}
		if !closed["Ingress"] || !closed["Egress"] {
			return nil, fmt.Errorf("no policy closes %s: everybody may talk to it, or it to everybody", pod)
		}
	}
	var out []string
	ours := func(end string) bool { return slices.Contains(pods, end) }
	for way := range outward {
		_, to, _ := strings.Cut(way, " → ")
		if to = to[:strings.LastIndex(to, ":")]; !ours(to) || inward[way] {
			out = append(out, way)
		}
	}
	for way := range inward {
		if from, _, _ := strings.Cut(way, " → "); !ours(from) {
			out = append(out, way)
		}
	}
	slices.Sort(out)
	return out, nil
}

// ends names whom peers select; nobody named is everybody.
func ends(peers []peer, pods []string) (out []string) {
	if len(peers) == 0 {
		return []string{"outside"}
	}
	for _, p := range peers {
		switch {
		case p.IPBlock != nil && p.IPBlock.CIDR == "0.0.0.0/0" && slices.Equal(p.IPBlock.Except, private()):
			out = append(out, "internet")
		case p.IPBlock != nil && p.IPBlock.CIDR == "0.0.0.0/0":
			out = append(out, "outside")
		case p.IPBlock != nil:
			out = append(out, p.IPBlock.CIDR)
		case p.NamespaceSelector != nil:
			out = append(out, p.NamespaceSelector.text())
		default:
			for _, pod := range pods {
				if p.PodSelector.selects(pod) {
					out = append(out, pod)
				}
			}
		}
	}
	return out
}

// private are the ranges that nothing outside has.
func private() []string {
	return []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"}
}

// all are the ports of a rule; one that names none opens every one.
func all(ports []port) []port {
	if len(ports) == 0 {
		return []port{{Port: "every port"}}
	}
	return ports
}

// udp marks what is not TCP.
func (p port) udp() string {
	if p.Protocol == "" || p.Protocol == "TCP" {
		return ""
	}
	return "/" + p.Protocol
}

// Wanted are the ways that are to be open: those of ARCHITECTURE.md, names, metrics and scalers.
func Wanted() []string {
	var out []string
	add := func(from []string, to string) {
		for _, f := range from {
			out = append(out, f+" → "+to)
		}
	}
	programs := []string{"ingress", "worker-primary", "worker-backup", "reconciler"}
	workers := []string{"worker-primary", "worker-backup", "reconciler"}
	add([]string{"outside"}, "ingress:8080")
	add(append(programs, "provision"), "nats:4222")
	add([]string{"reconciler", "provision", "keda", "monitoring"}, "nats:8222")
	add([]string{"nats"}, "nats:6222")
	for _, at := range []string{"6379", "26379"} {
		add(append(workers, "redis"), "redis:"+at)
	}
	add(workers, "internet:443")
	for _, p := range programs {
		add([]string{"monitoring"}, p+":9090")
	}
	add([]string{"twinreel.com/api=true"}, "reconciler:8081")
	add([]string{"worker-primary", "reconciler"}, "169.254.170.23/32:80")
	for _, dns := range []string{"kube-system", "169.254.20.10/32", "169.254.10.10/31"} {
		for _, at := range []string{":53", ":53/UDP"} {
			add(append(programs, "provision", "nats", "redis"), dns+at)
		}
	}
	slices.Sort(out)
	return out
}

// arrows: exactly the ways that are wanted are open.
func (c *checker) arrows() {
	pods := []string{"ingress", "worker-primary", "worker-backup", "reconciler", "provision", "nats", "redis"}
	want := Wanted()
	if r := c.region(); r != nil {
		pods = append(pods, abroad)
		want = append(want, wantedOf(r["peer-range"], c.hub())...)
	}
	have, err := Arrows(c.list, pods, func(pod, port string) string {
		for _, w := range c.workloads {
			if n := w.port(port); w.name == pod && n != 0 {
				return fmt.Sprint(n)
			}
		}
		return port
	})
	if err != nil {
		c.problems = append(c.problems, err)
		return
	}
	if _, err := Arrows(c.list, []string{"a pod that nobody has named"}, func(_, port string) string { return port }); err != nil {
		c.problems = append(c.problems, errors.New("no policy closes what nobody has named"))
	}
	have = slices.Compact(have)
	for _, way := range have {
		if !slices.Contains(want, way) {
			c.problems = append(c.problems, errors.New("a way is open that nobody needs: "+way))
		}
	}
	for _, way := range want {
		if !slices.Contains(have, way) {
			c.problems = append(c.problems, errors.New("a way is closed that is needed: "+way))
		}
	}
}
