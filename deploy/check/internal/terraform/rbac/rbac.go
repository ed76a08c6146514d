// Package rbac evaluates Azure's role definitions and the conditions of role assignments, as far as deploy/terraform uses them:
// Microsoft Learn, "Understand Azure role definitions" and "Azure role assignment condition format and syntax".
package rbac

import (
	"path"
	"slices"
	"strings"
)

// Permissions are a role definition's.
type Permissions struct {
	Actions, NotActions, DataActions, NotDataActions []string
}

// Assignment gives somebody a role on a scope and all below it.
type Assignment struct {
	Principal   string
	Scope       string
	Permissions []Permissions
	Condition   string // "" for none
}

// Request is one action on one resource.
type Request struct {
	Principal string
	Action    string
	Data      bool   // a data action
	Scope     string // resource ID of the container, or of the account
	Path      string // the blob's name; "" for none
}

// Allowed reports whether one of the assignments allows the request. Azure has no denials that a role could state.
func Allowed(r Request, list []Assignment) (bool, error) {
	for _, a := range list {
		if a.Principal != r.Principal || r.Scope != a.Scope && !strings.HasPrefix(r.Scope, a.Scope+"/") {
			continue
		}
		given := slices.ContainsFunc(a.Permissions, func(p Permissions) bool {
			yes, no := p.Actions, p.NotActions
			if r.Data {
				yes, no = p.DataActions, p.NotDataActions
			}
			return contains(yes, r.Action) && !contains(no, r.Action)
		})
		if !given {
			continue
		}
		holds, err := condition(a.Condition, r)
		if err != nil {
			return false, err
		}
		if holds {
			return true, nil
		}
	}
	return false, nil
}

func contains(patterns []string, action string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return glob(strings.ToLower(p), strings.ToLower(action)) })
}

// glob matches with *, which also takes slashes.
func glob(pattern, text string) bool {
	hide := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	ok, err := path.Match(hide(pattern), hide(text))
	return err == nil && ok
}
