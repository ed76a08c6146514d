package single

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

// foreign are variables that are not the program's own: the AWS SDK's, and the folder for temporary files.
func foreign() []string { return []string{"AWS_SHARED_CREDENTIALS_FILE", "TMPDIR"} }

// needs are variables that no program requires, since it has a default or another way, but that a service here must have.
func needs(service string) []string {
	list := []string{"TWINREEL_NATS_URL", "TWINREEL_NATS_USER"}
	switch service {
	case "ingress":
		return append(list, "TWINREEL_ADMIN_ADDR", "TWINREEL_DRAIN_TIMEOUT", "TWINREEL_LISTEN_ADDR")
	case "worker-primary", "worker-backup":
		return append(list, "TWINREEL_ADMIN_ADDR", "TWINREEL_DRAIN_TIMEOUT", "TWINREEL_REDIS_URL", "TWINREEL_COPY_FROM_ORIGINS")
	case "reconciler":
		return append(list, "TWINREEL_ADMIN_ADDR", "TWINREEL_DRAIN_TIMEOUT", "TWINREEL_REDIS_URL", "TWINREEL_NATS_MONITOR_URL", "TWINREEL_AZURE_ACCOUNT_NAME", "TMPDIR")
	}
	return append(list, "TWINREEL_NATS_MONITOR_URL", "TWINREEL_RECORDINGS_MAX_BYTES", "TWINREEL_DLQ_MAX_BYTES", "TWINREEL_AUDIT_MAX_BYTES")
}

// CheckEnvironment holds the variables of each program against what it says that it reads: none is unknown, none that is
// required is missing or empty, no secret stands in a file that others may read.
func CheckEnvironment(t Tree, settings map[string][]repo.Setting) error {
	var errs []error
	for _, s := range Services() {
		if program(s) == "" {
			continue
		}
		known := map[string]repo.Setting{}
		for _, k := range settings[program(s)] {
			known[k.Name] = k
		}
		all := t.variables(s)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			errs = append(errs, t.checkVariable(s, name, known))
		}
		for _, name := range required(s, known) {
			if all[name] == "" && all[name+"_FILE"] == "" {
				errs = append(errs, fmt.Errorf("%s: %s is not set", s, name))
			}
		}
	}
	return errors.Join(errs...)
}

// required are the variables that a service must have. Provisioning requires nothing of what the reconciler does.
func required(service string, known map[string]repo.Setting) []string {
	list := needs(service)
	if service == "provision" {
		return list
	}
	for name, k := range known {
		if k.Required {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// checkVariable looks at one variable of a service.
func (t Tree) checkVariable(service, name string, known map[string]repo.Setting) error {
	if slices.Contains(foreign(), name) {
		return nil
	}
	own, ok := known[name]
	if !ok {
		if own, ok = known[strings.TrimSuffix(name, "_FILE")]; !ok || !own.Secret {
			return fmt.Errorf("%s: %s is unknown to %s --settings", service, name, program(service))
		}
	}
	if own.Secret && own.Name == name {
		return fmt.Errorf("%s: %s is a secret and stands open; load it as a credential and name it by %s_FILE", service, name, name)
	}
	if _, twice := t.Units[service].Environment()[name]; twice {
		if _, inFile := t.Env[service][name]; inFile {
			return fmt.Errorf("%s: %s is in the unit and in its environment file", service, name)
		}
	}
	return nil
}
