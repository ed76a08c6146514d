// Package iam evaluates AWS policies, as far as deploy/terraform uses them: AWS IAM User Guide, "Policy evaluation logic" and
// "IAM JSON policy elements". What it does not know is an error, never a guess.
package iam

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Policy is a policy document.
type Policy struct {
	Version   string
	Statement []Statement
}

// Statement is one of its statements.
type Statement struct {
	Sid         string
	Effect      string
	Principal   Principal
	Action      Strings
	NotAction   Strings
	Resource    Strings
	NotResource Strings
	Condition   map[string]map[string]Strings
}

// Strings is a string, or a list of them.
type Strings []string

// UnmarshalJSON implements json.Unmarshaler.
func (s *Strings) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*s = Strings{one}
		return nil
	}
	var list []string
	err := json.Unmarshal(text, &list)
	*s = list
	return err
}

// Principal is whom a statement of a resource's policy is about: "*", or ARNs.
type Principal struct {
	AWS Strings
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Principal) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		p.AWS = Strings{one}
		return nil
	}
	var named map[string]Strings
	if err := json.Unmarshal(text, &named); err != nil {
		return err
	}
	for kind, list := range named {
		if kind != "AWS" {
			return fmt.Errorf("a principal of the kind %s", kind)
		}
		p.AWS = list
	}
	return nil
}

// Parse reads a document. An element that it does not know is an error.
func Parse(text string) (Policy, error) {
	var p Policy
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return Policy{}, fmt.Errorf("read a policy: %w", err)
	}
	if p.Version != "2012-10-17" {
		return Policy{}, fmt.Errorf("a policy of version %q", p.Version)
	}
	for _, s := range p.Statement {
		if s.Effect != "Allow" && s.Effect != "Deny" || (s.Action == nil) == (s.NotAction == nil) || (s.Resource == nil) == (s.NotResource == nil) {
			return Policy{}, fmt.Errorf("the statement %q has no effect, action or resource, or two of them", s.Sid)
		}
	}
	return p, nil
}

// Request is one action on one resource.
type Request struct {
	Action    string            // s3:PutObject
	Resource  string            // ARN
	Principal string            // ARN of the role that asks
	Context   map[string]string // condition keys that the request has, in any case
}

func (r Request) with(key, value string) Request {
	c := map[string]string{key: value}
	for k, v := range r.Context {
		c[k] = v
	}
	r.Context = c
	return r
}

// Verdict is what came of a request, and by which statement.
type Verdict struct {
	Allowed bool
	By      string // the statement's Sid; "" where nothing allowed it
}

// Evaluate judges a request by the policies of who asks and by that of what is asked for, in one account: what anything denies is
// denied; else what either allows is allowed. Key is for KMS, where the key's policy must allow it, or leave it to the account.
func Evaluate(r Request, identity []Policy, resource Policy, key bool) (Verdict, error) {
	r = r.with("aws:PrincipalArn", r.Principal)
	var allowed, own *Verdict
	delegated := false
	for _, s := range resource.Statement {
		hit, err := s.matches(r)
		if err != nil {
			return Verdict{}, err
		}
		who := s.Principal.is(r.Principal)
		if !hit || who == nobody {
			continue
		}
		switch {
		case s.Effect == "Deny":
			return Verdict{By: s.Sid}, nil
		case who == account:
			delegated = true
		default:
			allowed = &Verdict{Allowed: true, By: s.Sid}
		}
	}
	for _, p := range identity {
		for _, s := range p.Statement {
			hit, err := s.matches(r)
			if err != nil {
				return Verdict{}, err
			}
			if hit && s.Effect == "Deny" {
				return Verdict{By: s.Sid}, nil
			}
			if hit {
				own = &Verdict{Allowed: true, By: s.Sid}
			}
		}
	}
	switch {
	case allowed != nil:
		return *allowed, nil
	case own != nil && (!key || delegated):
		return *own, nil
	}
	return Verdict{}, nil
}

// match is how a principal is named.
type match int

const (
	nobody match = iota
	account
	directly
)

func (p Principal) is(arn string) match {
	out := nobody
	for _, one := range p.AWS {
		switch {
		case one == "*" || one == arn:
			return directly
		case strings.HasSuffix(one, ":root") && strings.HasPrefix(arn, strings.TrimSuffix(one, "root")):
			out = account
		}
	}
	return out
}

// matches reports whether the statement is about the request; whose it is in a resource's policy is asked apart.
func (s Statement) matches(r Request) (bool, error) {
	action := func(pattern string) bool { return glob(strings.ToLower(pattern), strings.ToLower(r.Action)) }
	resource := func(pattern string) bool { return glob(pattern, r.Resource) }
	if s.Action != nil && !slices.ContainsFunc(s.Action, action) || s.NotAction != nil && slices.ContainsFunc(s.NotAction, action) {
		return false, nil
	}
	if s.Resource != nil && !slices.ContainsFunc(s.Resource, resource) || s.NotResource != nil && slices.ContainsFunc(s.NotResource, resource) {
		return false, nil
	}
	for operator, keys := range s.Condition {
		for key, values := range keys {
			holds, err := condition(operator, key, values, r.Context)
			if err != nil {
				return false, fmt.Errorf("the statement %q: %w", s.Sid, err)
			}
			if !holds {
				return false, nil
			}
		}
	}
	return true, nil
}

// glob matches with * and ?, where * also takes slashes.
func glob(pattern, text string) bool {
	const slash = "\x00" // no name has it
	hide := func(s string) string { return strings.ReplaceAll(s, "/", slash) }
	ok, err := path.Match(strings.NewReplacer(`\`, `\\`, "[", `\[`).Replace(hide(pattern)), hide(text))
	return err == nil && ok
}
