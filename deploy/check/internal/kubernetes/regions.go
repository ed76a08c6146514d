package kubernetes

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Regions are the overlays of two regions over the same stores: first the one whose NATS takes the other's connection.
func Regions() [2]string { return [2]string{"region-east", "region-west"} }

// abroad is the workload that is the other region's reconciler.
const abroad = "reconciler-peer"

// region is what a region says of itself, in a ConfigMap; nil where there is one region alone.
func (c *checker) region() map[string]string {
	data, _ := c.config("twinreel-region")
	return data
}

// wantedOf are the ways that a region has open beside Wanted: to and from the other region's range. hub: its NATS takes the
// connection.
func wantedOf(there string, hub bool) []string {
	out := []string{
		abroad + " → internet:443", abroad + " → 169.254.170.23/32:80", "twinreel.com/api=true → " + abroad + ":8081", there + " → " + abroad + ":9090", there + " → nats:4222",
	}
	for _, at := range []string{":4222", ":6379", ":26379"} {
		out = append(out, abroad+" → "+there+at)
	}
	for _, at := range []string{":6379", ":26379"} {
		out = append(out, there+" → redis"+at)
	}
	for _, dns := range []string{"kube-system", "169.254.20.10/32", "169.254.10.10/31"} {
		out = append(out, abroad+" → "+dns+":53", abroad+" → "+dns+":53/UDP")
	}
	if hub {
		return append(out, there+" → nats:7422")
	}
	return append(out, "nats → "+there+":7422")
}

// hub says that this region's NATS takes the other's connections.
func (c *checker) hub() bool {
	for _, o := range c.list {
		var s Service
		if o.Kind == "Service" && o.Metadata.Name == "nats-region" && o.spec(&s) == nil {
			for _, p := range s.Ports {
				if p.TargetPort == "leafnodes" {
					return true
				}
			}
		}
	}
	return false
}

// natsPorts are the ports that the chart of NATS gives its pods, which are not rendered here.
func natsPorts() []string { return []string{"nats", "leafnodes", "monitor", "cluster"} }

// ofNATS: a Service of ours in front of NATS names ports that its pods have; a load balancer is inside, for the other region alone.
func (c *checker) ofNATS(o Object, s Service) {
	say := func(format string, args ...any) {
		c.problems = append(c.problems, fmt.Errorf("Service %s: %s", o.Metadata.Name, fmt.Sprintf(format, args...)))
	}
	for _, p := range s.Ports {
		if !slices.Contains(natsPorts(), p.TargetPort) {
			say("nats has no port %s", p.TargetPort)
		}
	}
	if s.Type != "LoadBalancer" {
		return
	}
	if want := []string{c.region()["peer-range"]}; !slices.Equal(s.Ranges, want) {
		say("it lets %v in, want %v alone", s.Ranges, want)
	}
	if s.ExternalTrafficPolicy != "Local" {
		say("it hides who asks, which the policies go by: externalTrafficPolicy")
	}
	for name, want := range map[string]string{
		"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal", "service.beta.kubernetes.io/azure-load-balancer-internal": "true",
		"networking.gke.io/load-balancer-type": "Internal",
	} {
		if got := o.Metadata.Annotations[name]; got != want {
			say("it may have an address outside: %s is %q", name, got)
		}
	}
}

// CheckRegions says what is wrong with two regions as they go together: each follows the other and runs its reconciler, both use
// the same stores, as identities of their own.
func CheckRegions(first, second []Object) (out []error) {
	var regions [2]*checker
	for i, list := range [][]Object{first, second} {
		all, err := workloads(list)
		if err != nil {
			return []error{err}
		}
		regions[i] = &checker{list: list, workloads: all}
	}
	regions[0].follows(regions[1])
	regions[1].follows(regions[0])
	regions[0].sameStores(regions[1])
	regions[0].apart(regions[1])
	return append(regions[0].problems, regions[1].problems...)
}

// follows: this region knows the other by its domain, and runs its reconciler.
func (c *checker) follows(other *checker) {
	here, there := c.region(), other.region()
	complain := func(format string, args ...any) {
		c.problems = append(c.problems, fmt.Errorf("region %s: %s", here["domain"], fmt.Sprintf(format, args...)))
	}
	if here["domain"] == here["peer-domain"] || here["peer-domain"] != there["domain"] {
		complain("its peer is %q, want %q, the other's domain", here["peer-domain"], there["domain"])
	}
	if r, err := netip.ParsePrefix(here["peer-range"]); err != nil || !r.Addr().IsPrivate() || here["peer-range"] == there["peer-range"] {
		complain("the other's range is %q (there ours is %q): want a private one, and another than ours", here["peer-range"], there["peer-range"])
	}
	for what, peer := range map[string]string{"nats-name": here["peer-nats"], "redis-name": here["peer-sentinels"], "reconciler-name": here["peer-reconciler-name"]} {
		if there[what] == "" || !strings.Contains(peer, there[what]) {
			complain("it looks for the other's at %q, and that is called %q (%s)", peer, there[what], what)
		}
	}
	found := false
	for _, w := range c.workloads {
		for _, one := range w.Template.Spec.Containers {
			if one.program() == "" {
				continue
			}
			env, peer := c.environment(w, one), there["domain"]
			if w.name == abroad {
				found, peer = true, here["domain"]
				if env["TWINREEL_NATS_URL"] != here["peer-nats"] || env["TWINREEL_REDIS_SENTINELS"] != here["peer-sentinels"] {
					c.say(w, "it is not the other region's: TWINREEL_NATS_URL is %q, TWINREEL_REDIS_SENTINELS %q", env["TWINREEL_NATS_URL"], env["TWINREEL_REDIS_SENTINELS"])
				}
			}
			if standby := env["TWINREEL_STANDBY"] == "true"; one.program() == "reconciler" && w.kind == "Deployment" && standby == (w.name == abroad) {
				c.say(w, "TWINREEL_STANDBY is %q: the one that is abroad leads, and the one at home stands by", env["TWINREEL_STANDBY"])
			}
			if env["TWINREEL_PEER_DOMAIN"] != peer {
				c.say(w, "TWINREEL_PEER_DOMAIN is %q, want %q", env["TWINREEL_PEER_DOMAIN"], peer)
			}
		}
	}
	if !found {
		complain("the reconciler of %s does not run here: nobody but itself would notice that it is cut off", there["domain"])
	}
}

// stores are the settings that say where copies go.
func stores() []string {
	return []string{"TWINREEL_S3_BUCKET", "TWINREEL_S3_REGION", "TWINREEL_AZURE_SERVICE_URL", "TWINREEL_AZURE_CONTAINER"}
}

// sameStores: whoever has to do with a store, in either region, has to do with the same.
func (c *checker) sameStores(other *checker) {
	seen := map[string]string{}
	for _, r := range []*checker{c, other} {
		for _, w := range r.workloads {
			for _, one := range w.Template.Spec.Containers {
				env := r.environment(w, one)
				for _, name := range stores() {
					switch value := env[name]; {
					case value == "":
					case seen[name] == "":
						seen[name] = value
					case seen[name] != value:
						r.say(w, "in region %s %s is %q, elsewhere %q: copies of both regions belong into the same stores", r.region()["domain"], name, value, seen[name])
					}
				}
			}
		}
	}
}

// apart: no identity is of both regions, so that one of them can be shut out alone.
func (c *checker) apart(other *checker) {
	theirs := other.identitiesOf()
	for _, who := range slices.Sorted(maps.Keys(c.identitiesOf())) {
		if at := theirs[who]; at != "" {
			c.problems = append(c.problems, fmt.Errorf("ServiceAccount %s: %s is who it is in both regions: one could not be shut out alone", at, who))
		}
	}
}

// identitiesOf is who the programs are in the clouds: the identity to a ServiceAccount that has it.
func (c *checker) identitiesOf() map[string]string {
	out := map[string]string{}
	for _, o := range c.list {
		if o.Kind != "ServiceAccount" {
			continue
		}
		for _, a := range []string{"eks.amazonaws.com/role-arn", "azure.workload.identity/client-id"} {
			if who := o.Metadata.Annotations[a]; who != "" {
				out[who] = o.Metadata.Name
			}
		}
	}
	return out
}
