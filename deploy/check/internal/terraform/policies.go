package terraform

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/deploy/check/internal/terraform/calls"
	"github.com/twinreel/twinreel/deploy/check/internal/terraform/iam"
	"github.com/twinreel/twinreel/deploy/check/internal/terraform/rbac"
)

// S3Policies are the policies of the primary tier as they would be applied.
type S3Policies struct {
	Bucket, Key       iam.Policy
	BucketARN, KeyARN string
	Region            string
	Roles             map[calls.Identity][]Role // one for each region, where there are several
}

// Role is one role of an identity.
type Role struct {
	ARN      string
	Policies []iam.Policy
}

// administrator is what AWS's own policy for administrators comes to, where it concerns the stores: whoever has it in the account.
const administrator = `{"Version":"2012-10-17","Statement":[{"Sid":"AdministratorAccess","Effect":"Allow","Action":["s3:*","kms:*"],"Resource":"*"}]}`

// one returns the only resource of a type and name; its address may have anything before and after.
func (p Planned) one(kind, name string) (Resource, error) {
	list := p.of(kind, name)
	if len(list) != 1 {
		return Resource{}, fmt.Errorf("there are %d of %s.%s, want one", len(list), kind, name)
	}
	return list[0], nil
}

// of returns all resources of a type; of that name, unless it is "".
func (p Planned) of(kind, name string) []Resource {
	var out []Resource
	for _, r := range p.Resources {
		if r.Type == kind && (name == "" || r.Name == name) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Resource) int { return cmp.Compare(a.Address, b.Address) })
	return out
}

// text is an attribute that is a string.
func (r Resource) text(name string) string { s, _ := r.Values[name].(string); return s }

// S3 finds the policies of the primary tier in the plan.
func (p Planned) S3() (S3Policies, error) {
	out := S3Policies{Roles: map[calls.Identity][]Role{}}
	bucket, err1 := p.one("aws_s3_bucket", "recordings")
	key, err2 := p.one("aws_kms_key", "recordings")
	bucketPolicy, err3 := p.one("aws_s3_bucket_policy", "recordings")
	keyPolicy, err4 := p.one("aws_kms_key_policy", "recordings")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return out, err
	}
	out.BucketARN, out.KeyARN, out.Region = bucket.text("arn"), key.text("arn"), bucket.text("region")
	var errs [2]error
	out.Bucket, errs[0] = iam.Parse(bucketPolicy.text("policy"))
	out.Key, errs[1] = iam.Parse(keyPolicy.text("policy"))
	if err := errors.Join(errs[:]...); err != nil {
		return out, err
	}
	own := map[string][]iam.Policy{}
	for _, r := range p.of("aws_iam_role_policy", "") {
		policy, err := iam.Parse(r.text("policy"))
		if err != nil {
			return out, fmt.Errorf("%s: %w", r.Address, err)
		}
		own[r.text("role")] = append(own[r.text("role")], policy)
	}
	for _, r := range p.of("aws_iam_role", "") {
		who, ok := whose(r.text("name"))
		if !ok {
			return out, fmt.Errorf("nobody has said who %s is", r.text("name"))
		}
		out.Roles[who] = append(out.Roles[who], Role{r.text("arn"), own[r.text("name")]})
	}
	everything, err := iam.Parse(administrator)
	if err != nil {
		return out, err
	}
	out.Roles[calls.Admin] = []Role{{"arn:aws:iam::123456789012:role/terraform", []iam.Policy{everything}}}
	out.Roles[calls.Other] = []Role{{"arn:aws:iam::123456789012:role/somebody", []iam.Policy{everything}}}
	return out, nil
}

// whose role it is, by its name.
func whose(role string) (calls.Identity, bool) {
	for prefix, who := range map[string]calls.Identity{"twinreel-writer-": calls.Writer, "twinreel-reader-": calls.Reader, "twinreel-break-glass": calls.Glass} {
		if strings.HasPrefix(role, prefix) {
			return who, true
		}
	}
	return "", false
}

// Outcome is whether somebody may make a call, and by what.
type Outcome struct {
	Allowed bool
	By      string // statement that denied it; "" where it is only that nothing allows it
}

// Judge says whether an identity may make a call: whether it has every right that each of its requests takes.
func (s S3Policies) Judge(c calls.Call, who calls.Identity) (Outcome, error) {
	if len(s.Roles[who]) == 0 {
		return Outcome{}, fmt.Errorf("nobody is the %s", who)
	}
	rights := slices.Clone(c.Direct)
	for _, r := range c.Requests {
		more, err := calls.S3Rights(r)
		if err != nil {
			return Outcome{}, fmt.Errorf("%s: %w", c.Name, err)
		}
		rights = append(rights, more...)
	}
	var out *Outcome
	for _, role := range s.Roles[who] {
		o, err := s.judge(rights, c.Context, role)
		if err != nil {
			return Outcome{}, err
		}
		if out != nil && *out != o {
			return Outcome{}, fmt.Errorf("%s: the regions' roles of %s may not do the same", c.Name, who)
		}
		out = &o
	}
	return *out, nil
}

func (s S3Policies) judge(rights []calls.Right, context map[string]string, role Role) (Outcome, error) {
	for _, right := range rights {
		r := iam.Request{Action: right.Action, Principal: role.ARN, Resource: s.BucketARN, Context: map[string]string{
			"aws:SecureTransport": "true", "s3:TlsVersion": "1.3", "aws:RequestedRegion": s.Region,
		}}
		if right.Key != "" {
			r.Resource += "/" + right.Key
		}
		policy := s.Bucket
		if right.KMS {
			r.Resource, policy = s.KeyARN, s.Key
			r.Context["kms:ViaService"] = "s3." + s.Region + ".amazonaws.com"
		}
		maps.Copy(r.Context, right.Context)
		maps.Copy(r.Context, context)
		v, err := iam.Evaluate(r, role.Policies, policy, right.KMS)
		if err != nil || !v.Allowed {
			return Outcome{By: v.By}, err
		}
	}
	return Outcome{Allowed: true}, nil
}

// AzureRoles are the roles of the backup tier as they would be assigned.
type AzureRoles struct {
	Account, Container string
	Principals         map[calls.Identity][]string
	Assignments        []rbac.Assignment
}

// Azure finds the roles of the backup tier in the plan.
func (p Planned) Azure() (AzureRoles, error) {
	out := AzureRoles{Principals: map[calls.Identity][]string{calls.Admin: {"the owner of the subscription"}, calls.Other: {"somebody"}}}
	account, err1 := p.one("azurerm_storage_account", "recordings")
	container, err2 := p.one("azurerm_storage_container", "recordings")
	if err := errors.Join(err1, err2); err != nil {
		return out, err
	}
	out.Account, out.Container = account.text("id"), container.text("id")
	definitions := map[string][]rbac.Permissions{}
	for _, r := range p.of("azurerm_role_definition", "") {
		var values struct {
			Permissions []struct {
				Actions        []string `json:"actions"`
				NotActions     []string `json:"not_actions"`
				DataActions    []string `json:"data_actions"`
				NotDataActions []string `json:"not_data_actions"`
			} `json:"permissions"`
		}
		if err := r.decode(&values); err != nil {
			return out, err
		}
		for _, v := range values.Permissions {
			id := r.text("role_definition_resource_id")
			definitions[id] = append(definitions[id], rbac.Permissions{Actions: v.Actions, NotActions: v.NotActions, DataActions: v.DataActions, NotDataActions: v.NotDataActions})
		}
	}
	for _, r := range p.of("azurerm_role_assignment", "") {
		role, ok := definitions[r.text("role_definition_id")]
		if !ok {
			return out, fmt.Errorf("%s assigns a role that is not defined here: %s%s", r.Address, r.text("role_definition_id"), r.text("role_definition_name"))
		}
		out.Assignments = append(out.Assignments, rbac.Assignment{Principal: r.text("principal_id"), Scope: r.text("scope"), Permissions: role, Condition: r.text("condition")})
		who, ok := map[string]calls.Identity{"writer": calls.Writer, "reader": calls.Reader, "sealer": calls.Reader, "break_glass": calls.Glass}[r.Name]
		if !ok {
			return out, fmt.Errorf("nobody has said who %s is", r.Address)
		}
		if id := r.text("principal_id"); !slices.Contains(out.Principals[who], id) {
			out.Principals[who] = append(out.Principals[who], id)
		}
	}
	subscription, _, _ := strings.Cut(strings.TrimPrefix(out.Account, "/subscriptions/"), "/")
	out.Assignments = append(out.Assignments, rbac.Assignment{
		Principal: "the owner of the subscription", Scope: "/subscriptions/" + subscription, Permissions: []rbac.Permissions{{Actions: []string{"*"}}},
	})
	return out, nil
}

// Judge says whether an identity may make a call.
func (a AzureRoles) Judge(c calls.Call, who calls.Identity) (Outcome, error) {
	if len(a.Principals[who]) == 0 {
		return Outcome{}, fmt.Errorf("nobody is the %s", who)
	}
	var out *Outcome
	for _, principal := range a.Principals[who] {
		o := Outcome{Allowed: true}
		for _, r := range c.Requests {
			rights, err := calls.AzureRights(r)
			if err != nil {
				return Outcome{}, fmt.Errorf("%s: %w", c.Name, err)
			}
			for _, right := range rights {
				allowed, err := a.any(right, principal)
				if err != nil {
					return Outcome{}, err
				}
				o.Allowed = o.Allowed && allowed
			}
		}
		if out != nil && *out != o {
			return Outcome{}, fmt.Errorf("%s: the regions' identities of %s may not do the same", c.Name, who)
		}
		out = &o
	}
	return *out, nil
}

func (a AzureRoles) any(right calls.AzureRight, principal string) (bool, error) {
	for _, action := range right.Any {
		r := rbac.Request{Principal: principal, Action: action, Data: right.Data, Scope: a.Container, Path: right.Path}
		if right.Account {
			r.Scope = a.Account
		}
		if allowed, err := rbac.Allowed(r, a.Assignments); err != nil || allowed {
			return allowed, err
		}
	}
	return false, nil
}

// decode reads a resource's values into a struct.
func (r Resource) decode(into any) error {
	text, err := json.Marshal(r.Values)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", r.Address, err)
	}
	return nil
}

// Calls are what was recorded: what the programs do, and what nobody may do.
type Calls struct {
	S3Wanted, S3Forbidden, AzureWanted, AzureForbidden []calls.Call
}

// Judged holds each call and identity against who is to be allowed.
func (p Planned) Judged(all Calls) []error {
	var errs []error
	s3, err := p.S3()
	if err != nil {
		errs = append(errs, err)
	} else {
		errs = append(errs, judged("S3", all.S3Wanted, s3.Judge)...)
		errs = append(errs, judged(forbiddenInS3, all.S3Forbidden, s3.Judge)...)
	}
	azure, err := p.Azure()
	if err != nil {
		return append(errs, err)
	}
	return append(errs, judged("Azure", slices.Concat(all.AzureWanted, all.AzureForbidden), azure.Judge)...)
}

// forbiddenInS3 are calls of which each must be denied expressly to those who have rights to everything.
const forbiddenInS3 = "S3, forbidden"

func judged(where string, list []calls.Call, judge func(calls.Call, calls.Identity) (Outcome, error)) []error {
	var errs []error
	for _, c := range list {
		for _, who := range calls.Identities() {
			o, err := judge(c, who)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", where, err))
				continue
			}
			if want := slices.Contains(c.May, who); o.Allowed != want {
				errs = append(errs, fmt.Errorf("%s: %q by %s: %s, want %s", where, c.Name, who, word(o.Allowed, o.By), word(want, "")))
			}
			if where == forbiddenInS3 && (who == calls.Admin || who == calls.Other) && o == (Outcome{}) && c.Name != calls.DecryptDirectly {
				errs = append(errs, fmt.Errorf("%s: %q by %s: nothing denies it, and rights to everything lack only the key's", where, c.Name, who))
			}
		}
	}
	return errs
}

// onlyTheBucket are the calls that the programs' own policies would let pass: nothing in them can tell such a request from others.
func onlyTheBucket() []string {
	return []string{
		calls.Overwrite, calls.OverKnown, calls.CopyOver, calls.CommitOver, calls.ByS3sKey, calls.ByAnotherKey, calls.ByCustomersKey, calls.ByPlainHTTP, calls.ByOldTLS,
	}
}

// Alone holds the programs' own policies against what they may not do, as if the bucket had none: all but a few calls are kept
// from them twice.
func (p Planned) Alone(all Calls) []error {
	s3, err := p.S3()
	if err != nil {
		return []error{err}
	}
	s3.Bucket = iam.Policy{}
	var errs []error
	for _, c := range all.S3Forbidden {
		for _, who := range []calls.Identity{calls.Writer, calls.Reader} {
			o, err := s3.Judge(c, who)
			if err != nil {
				errs = append(errs, err)
			}
			known := who == calls.Writer && slices.Contains(onlyTheBucket(), c.Name)
			if want := known || slices.Contains(c.May, who); o.Allowed != want {
				errs = append(errs, fmt.Errorf("S3: %q by %s: %s by its own policy, want %s", c.Name, who, word(o.Allowed, o.By), word(want, "")))
			}
		}
	}
	return errs
}

func word(allowed bool, by string) string {
	switch {
	case allowed:
		return "allowed"
	case by != "":
		return "denied by " + by
	}
	return "not allowed"
}
