package single

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// restriction is what a unit's setting must come to.
type restriction struct{ key, want string }

// restrictions are those of every service. The reasons stand in the drop-in.
func restrictions() []restriction {
	return []restriction{
		{"NoNewPrivileges", "yes"},
		{"CapabilityBoundingSet", ""},
		{"AmbientCapabilities", ""},
		{"PrivateUsers", "yes"},
		{"RestrictSUIDSGID", "yes"},
		{"ProtectSystem", "strict"},
		{"ProtectHome", "yes"},
		{"PrivateTmp", "yes"},
		{"PrivateMounts", "yes"},
		{"PrivateDevices", "yes"},
		{"DevicePolicy", "closed"},
		{"UMask", "0077"},
		{"ProtectClock", "yes"},
		{"ProtectControlGroups", "yes"},
		{"ProtectHostname", "yes"},
		{"ProtectKernelLogs", "yes"},
		{"ProtectKernelModules", "yes"},
		{"ProtectKernelTunables", "yes"},
		{"ProtectProc", "invisible"},
		{"PrivateIPC", "yes"},
		{"RemoveIPC", "yes"},
		{"KeyringMode", "private"},
		{"RestrictNamespaces", "yes"},
		{"RestrictRealtime", "yes"},
		{"LockPersonality", "yes"},
		{"MemoryDenyWriteExecute", "yes"},
		{"RestrictAddressFamilies", "AF_INET AF_INET6"},
		{"SystemCallArchitectures", "native"},
		{"SystemCallFilter", "@system-service ~@privileged @resources"},
		{"SystemCallErrorNumber", "EPERM"},
		{"LimitCORE", "0"},
	}
}

// exceptions are what a service needs beyond that: ingress listens on 443, and in a user namespace could not.
func exceptions(service string) map[string]string {
	if service != "ingress" {
		return nil
	}
	return map[string]string{"CapabilityBoundingSet": "CAP_NET_BIND_SERVICE", "AmbientCapabilities": "CAP_NET_BIND_SERVICE", "PrivateUsers": "no"}
}

// CheckRestrictions holds every unit against the table of restrictions, and looks that each has a user of its own and a bound
// of memory.
func CheckRestrictions(t Tree) error {
	var errs []error
	users := map[string]string{}
	for _, s := range Services() {
		u := t.Units[s]
		for _, r := range restrictions() {
			want := r.want
			if other, ok := exceptions(s)[r.key]; ok {
				want = other
			}
			if got, ok := u.restriction(r.key); !ok || got != want {
				errs = append(errs, fmt.Errorf("%s: %s is %q (set: %v), want %q", s, r.key, got, ok, want))
			}
		}
		user := u.Value("Service", "User")
		if other, taken := users[user]; taken || user == "" || !strings.Contains(t.Users, "u "+user+" ") {
			errs = append(errs, fmt.Errorf("%s: user %q is not its own (also of %q), or not in sysusers.conf", s, user, other))
		}
		users[user] = s
		if u.Value("Service", "MemoryMax") == "" {
			errs = append(errs, fmt.Errorf("%s: no MemoryMax", s))
		}
	}
	return errors.Join(errs...)
}

// restriction is what a setting comes to, ok false where it is not set: of lists all that counts, of others the last value.
func (u Unit) restriction(key string) (value string, ok bool) {
	switch key {
	case "CapabilityBoundingSet", "AmbientCapabilities", "RestrictAddressFamilies", "SystemCallArchitectures", "SystemCallFilter":
		list, ok := u.Values("Service", key)
		return strings.Join(list, " "), ok
	}
	return u.Value("Service", key), len(u["Service"][key]) > 0
}

// settle is how much longer than its drain a program may take to end.
const settle = 5 * time.Second

// CheckLife looks that each service starts again for ever, is stopped with the target, and is given time to end.
func CheckLife(t Tree) error {
	var errs []error
	for _, s := range Services() {
		u := t.Units[s]
		want := map[string]string{"Service.Restart": "always", "Unit.StartLimitIntervalSec": "0", "Unit.PartOf": "twinreel.target", "Install.WantedBy": "twinreel.target"}
		if s == "provision" {
			want["Service.Restart"], want["Service.Type"], want["Service.RemainAfterExit"] = "on-failure", "oneshot", "yes"
		}
		for key, value := range want {
			section, name, _ := strings.Cut(key, ".")
			if got := u.Value(section, name); got != value {
				errs = append(errs, fmt.Errorf("%s: %s is %q, want %q", s, name, got, value))
			}
		}
		if u.Value("Service", "RestartSec") == "" {
			errs = append(errs, fmt.Errorf("%s: no RestartSec: systemd's 100 ms are a busy loop", s))
		}
		errs = append(errs, checkStop(s, u, t.Env[s]), checkOrder(s, u))
	}
	return errors.Join(errs...)
}

// checkStop compares how long a service may take to stop with how long it says that it needs.
func checkStop(service string, u Unit, env map[string]string) error {
	stop, err := time.ParseDuration(u.Value("Service", "TimeoutStopSec"))
	if err != nil {
		return fmt.Errorf("%s: TimeoutStopSec: %w", service, err)
	}
	need := 25 * time.Second // the default
	if text, ok := env["TWINREEL_DRAIN_TIMEOUT"]; ok {
		if need, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("%s: TWINREEL_DRAIN_TIMEOUT: %w", service, err)
		}
	}
	if stop < need+settle {
		return fmt.Errorf("%s: TimeoutStopSec is %s, and the drain alone may take %s: it would be killed while it hands back", service, stop, need)
	}
	return nil
}

// checkOrder looks that the programs start after, and so stop before, what they rest on.
func checkOrder(service string, u Unit) error {
	need := map[string][]string{"provision": {"nats"}}
	for _, s := range Services()[:4] {
		need[s] = []string{"nats", "redis", "provision"}
	}
	after := strings.Fields(strings.Join(u["Unit"]["After"], " "))
	for _, other := range need[service] {
		found := false
		for _, a := range after {
			found = found || a == "twinreel-"+other+".service"
		}
		if !found {
			return fmt.Errorf("%s: not After=twinreel-%s.service: it would be stopped after what it rests on", service, other)
		}
	}
	return nil
}
