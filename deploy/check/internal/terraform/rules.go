package terraform

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/twinreel/twinreel/deploy/check/internal/terraform/iam"
)

// Rules says what of a plan is not by the rules of this house.
func (p Planned) Rules() []error {
	c := &checker{plan: p}
	c.bucket()
	c.key()
	c.lifecycle()
	c.programs()
	c.account()
	c.names()
	return c.problems
}

type checker struct {
	plan     Planned
	problems []error
}

func (c *checker) say(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf(format, args...))
}

// read decodes the one resource of a type, and says so where there is none.
func (c *checker) read(kind string, into any) bool {
	r, err := c.plan.one(kind, "recordings")
	if err == nil {
		err = r.decode(into)
	}
	if err != nil {
		c.problems = append(c.problems, err)
	}
	return err == nil
}

// bucket: versions, encryption, lock, nobody's but ours.
func (c *checker) bucket() {
	var bucket struct {
		Lock    bool `json:"object_lock_enabled"`
		Destroy bool `json:"force_destroy"`
	}
	if c.read("aws_s3_bucket", &bucket) && (!bucket.Lock || bucket.Destroy) {
		c.say("the bucket: object lock %v, force_destroy %v", bucket.Lock, bucket.Destroy)
	}
	var versions struct {
		Configuration []struct{ Status string } `json:"versioning_configuration"`
	}
	if c.read("aws_s3_bucket_versioning", &versions) && versions.Configuration[0].Status != "Enabled" {
		c.say("the bucket: versions are %s", versions.Configuration[0].Status)
	}
	var encryption struct {
		Rule []struct {
			Default []struct {
				Algorithm string `json:"sse_algorithm"`
				Key       string `json:"kms_master_key_id"`
			} `json:"apply_server_side_encryption_by_default"`
		}
	}
	if key, err := c.plan.one("aws_kms_key", "recordings"); err == nil && c.read("aws_s3_bucket_server_side_encryption_configuration", &encryption) {
		if d := encryption.Rule[0].Default[0]; d.Algorithm != "aws:kms" || d.Key != key.text("arn") {
			c.say("the bucket: what says nothing is encrypted by %s, not by our key", d.Algorithm)
		}
	}
	var public map[string]any
	if c.read("aws_s3_bucket_public_access_block", &public) {
		for _, name := range []string{"block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"} {
			if public[name] != true {
				c.say("the bucket: public access is not blocked: %s", name)
			}
		}
	}
	var owner struct {
		Rule []struct {
			Ownership string `json:"object_ownership"`
		}
	}
	if c.read("aws_s3_bucket_ownership_controls", &owner) && owner.Rule[0].Ownership != "BucketOwnerEnforced" {
		c.say("the bucket: ownership is %s", owner.Rule[0].Ownership)
	}
}

// key: rotated, and kept long enough for somebody to notice.
func (c *checker) key() {
	var key struct {
		Rotation bool `json:"enable_key_rotation"`
		Window   int  `json:"deletion_window_in_days"`
	}
	if c.read("aws_kms_key", &key) && (!key.Rotation || key.Window < 30) {
		c.say("the key: rotation %v, deleted after %d days", key.Rotation, key.Window)
	}
}

// online are the classes from which an object is read at once, from more than one zone.
func online() []string { return []string{"STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"} }

// lifecycle: open uploads lapse, nothing goes before its time, nothing moves where it cannot be read, nothing hangs on a tag.
func (c *checker) lifecycle() {
	type rule struct {
		ID     string
		Filter []struct {
			Prefix *string
			Tag    []any
			And    []struct{ Tags map[string]string }
		}
		Abort []struct {
			Days int `json:"days_after_initiation"`
		} `json:"abort_incomplete_multipart_upload"`
		Transition []struct {
			Class string `json:"storage_class"`
		}
		Expiration []struct {
			Days int
			Date *string
		}
		OldExpiration []any `json:"noncurrent_version_expiration"`
		OldTransition []struct {
			Class string `json:"storage_class"`
		} `json:"noncurrent_version_transition"`
	}
	var got struct{ Rule []rule }
	if !c.read("aws_s3_bucket_lifecycle_configuration", &got) {
		return
	}
	days, aborts := c.retention(), false
	for _, r := range got.Rule {
		aborts = aborts || len(r.Abort) > 0 && r.Abort[0].Days > 0 && len(r.Filter) == 1 && r.Filter[0].Prefix != nil && *r.Filter[0].Prefix == ""
		for _, f := range r.Filter {
			if len(f.Tag) > 0 || len(f.And) > 0 && len(f.And[0].Tags) > 0 {
				c.say("the lifecycle rule %s hangs on a tag, which the writer may set", r.ID)
			}
		}
		for _, t := range append(r.Transition, r.OldTransition...) {
			if !slices.Contains(online(), t.Class) {
				c.say("the lifecycle rule %s moves recordings to %s, from where they cannot be read at once", r.ID, t.Class)
			}
		}
		for _, e := range r.Expiration {
			if e.Date != nil || e.Days < days {
				c.say("the lifecycle rule %s removes recordings after %d days, retention is %d", r.ID, e.Days, days)
			}
		}
		if len(r.OldExpiration) > 0 {
			c.say("the lifecycle rule %s removes versions that were overwritten", r.ID)
		}
	}
	if !aborts {
		c.say("no lifecycle rule throws uploads away that were never committed")
	}
}

// retention is for how many days the bucket locks by default; said where that is not what Azure does.
func (c *checker) retention() int {
	var lock struct {
		Rule []struct {
			Default []struct {
				Mode string
				Days int
			} `json:"default_retention"`
		}
	}
	if !c.read("aws_s3_bucket_object_lock_configuration", &lock) {
		return 0
	}
	if len(lock.Rule) == 0 || len(lock.Rule[0].Default) == 0 {
		c.say("the bucket locks nothing by default")
		return 0
	}
	return lock.Rule[0].Default[0].Days
}

// programs: each right that a program has is named, and its trust is one service account's.
func (c *checker) programs() {
	for _, r := range c.plan.of("aws_iam_role_policy", "program") {
		p, err := iam.Parse(r.text("policy"))
		if err != nil {
			c.problems = append(c.problems, err)
			continue
		}
		for _, s := range p.Statement {
			if s.Effect == "Allow" && (s.NotAction != nil || slices.ContainsFunc(s.Action, func(a string) bool { return strings.Contains(a, "*") })) {
				c.say("%s allows more than is named: %v", r.Address, s.Action)
			}
		}
	}
	for _, r := range c.plan.of("azurerm_role_definition", "") {
		var d struct {
			Permissions []map[string][]string
		}
		if err := r.decode(&d); err != nil {
			c.problems = append(c.problems, err)
		}
		for _, p := range d.Permissions {
			for _, a := range append(p["actions"], p["data_actions"]...) {
				if strings.Contains(a, "*") {
					c.say("%s allows more than is named: %s", r.Address, a)
				}
			}
		}
	}
	for _, r := range c.plan.of("aws_iam_role", "program") {
		var trust struct {
			Statement []struct {
				Principal map[string]any
				Condition map[string]map[string]any
			}
		}
		if err := json.Unmarshal([]byte(r.text("assume_role_policy")), &trust); err != nil {
			c.problems = append(c.problems, err)
			continue
		}
		ends := map[string]bool{}
		for _, s := range trust.Statement {
			if s.Principal["AWS"] != nil {
				ends["sub"], ends["aud"] = true, true // who is named; variables keep out *
			}
			for key := range s.Condition["StringEquals"] {
				_, end, _ := strings.Cut(key[strings.LastIndex(key, "/")+1:], ":")
				ends[end] = true
			}
		}
		if !ends["sub"] || !ends["aud"] {
			c.say("%s trusts more than one service account", r.Address)
		}
	}
}

// account: versions, locked retention, no keys, no public, nothing that deletes.
func (c *checker) account() {
	var a struct {
		HNS    bool   `json:"is_hns_enabled"`
		Keys   bool   `json:"shared_access_key_enabled"`
		TLS    bool   `json:"https_traffic_only_enabled"`
		MinTLS string `json:"min_tls_version"`
		Public bool   `json:"allow_nested_items_to_be_public"`
		Tier   string `json:"access_tier"`
		Blob   []struct {
			Versions bool `json:"versioning_enabled"`
			Deleted  []struct {
				Permanent bool `json:"permanent_delete_enabled"`
			} `json:"delete_retention_policy"`
		} `json:"blob_properties"`
		Immutability []struct {
			State  string `json:"state"`
			Days   int    `json:"period_since_creation_in_days"`
			Append bool   `json:"allow_protected_append_writes"`
		} `json:"immutability_policy"`
	}
	if !c.read("azurerm_storage_account", &a) {
		return
	}
	for what, wrong := range map[string]bool{
		"a hierarchical namespace: no versions, no tags": a.HNS,
		"keys are taken, which may do everything":        a.Keys,
		"plain HTTP is taken":                            !a.TLS,
		"TLS before 1.2 is taken":                        a.MinTLS != "TLS1_2",
		"blobs can be made public":                       a.Public,
		"the tier " + a.Tier:                             !slices.Contains([]string{"Hot", "Cool", "Cold"}, a.Tier),
		"no versions":                                    len(a.Blob) != 1 || !a.Blob[0].Versions,
		"what is deleted can be deleted for good":        len(a.Blob) == 1 && len(a.Blob[0].Deleted) == 1 && a.Blob[0].Deleted[0].Permanent,
	} {
		if wrong {
			c.say("the storage account: %s", what)
		}
	}
	if len(a.Immutability) != 1 {
		c.say("the storage account: nothing is locked")
	} else {
		i := a.Immutability[0]
		if writers := len(c.plan.of("azurerm_role_assignment", "writer")); i.State != "Locked" && writers > 0 {
			c.say("the storage account: %d writers, who can overwrite, and retention is %s", writers, i.State)
		}
		if days := c.retention(); i.Days != days {
			c.say("retention is %d days in S3 and %d in Azure", days, i.Days)
		}
		if i.Append {
			c.say("the storage account: locked blobs can be appended to")
		}
	}
	var container struct {
		Access string `json:"container_access_type"`
	}
	if c.read("azurerm_storage_container", &container) && container.Access != "private" {
		c.say("the container is open to %s", container.Access)
	}
	for _, r := range c.plan.of("azurerm_storage_management_policy", "") {
		c.say("%s: nothing may remove or move anything in backup by itself", r.Address)
	}
	if len(c.plan.of("azurerm_management_lock", "recordings")) == 0 {
		c.say("the storage account: no lock keeps it from being deleted")
	}
}

// names: each region's health is asked of the address of webhooks, by TLS, and each record hangs on it.
func (c *checker) names() {
	for _, r := range c.plan.of("aws_route53_health_check", "ingress") {
		if r.text("type") != "HTTPS" || r.text("resource_path") != "/readyz" || r.Values["port"] != 443.0 || r.Values["enable_sni"] != true {
			c.say("%s asks %s for %s", r.Address, r.text("type"), r.text("resource_path"))
		}
	}
	for _, r := range c.plan.of("aws_route53_record", "webhooks") {
		if r.text("health_check_id") == "" {
			c.say("%s hangs on no health check", r.Address)
		}
		if ttl, ok := r.Values["ttl"].(float64); !ok || ttl > 60 {
			c.say("%s is kept for %v seconds", r.Address, r.Values["ttl"])
		}
	}
}

var (
	blocks      = regexp.MustCompile(`(?ms)^(variable|output) "(\w+)" \{(.*?)\n\}`)
	statements  = regexp.MustCompile(`(?ms)^resource "(\w+)" "(\w+)" \{(.*?)\n\}`)
	destroyable = []string{"aws_s3_bucket", "aws_kms_key", "azurerm_storage_account", "azurerm_storage_container"}
)

// Check says what is wrong with the text itself: terraform takes variables without a word about them, and a plan does not tell
// what keeps resources from being destroyed.
func (t Tree) Check() error {
	var errs []error
	say := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	folders := map[string]string{} // to all of its text
	for name, text := range t {
		if at := strings.LastIndex(name, "/"); at > 0 && strings.HasSuffix(name, ".tf") {
			folders[name[:at]] += text
		}
	}
	for folder, all := range folders {
		for _, m := range blocks.FindAllStringSubmatch(all, -1) {
			kind, name, body := m[1], m[2], m[3]
			if !strings.Contains(body, "  description = ") {
				say("%s: the %s %s has no description", folder, kind, name)
			}
			if kind == "variable" && !regexp.MustCompile(`(?m)^  type\s+= `).MatchString(body) {
				say("%s: the variable %s has no type", folder, name)
			}
			if kind == "variable" && !regexp.MustCompile(`\bvar\.`+name+`\b`).MatchString(strings.ReplaceAll(all, m[0], "")) {
				say("%s: nothing uses the variable %s", folder, name)
			}
		}
		if !strings.Contains(all, "required_version = ") {
			say("%s: no version of terraform is required", folder)
		}
		for _, m := range statements.FindAllStringSubmatch(all, -1) {
			if slices.Contains(destroyable, m[1]) && !strings.Contains(m[3], "prevent_destroy = true") {
				say("%s: terraform could destroy %s.%s", folder, m[1], m[2])
			}
		}
	}
	return errors.Join(errs...)
}

// Environment is what the programs are told, by region and program.
func (p Planned) Environment() (map[string]map[string]map[string]string, error) {
	var out map[string]map[string]map[string]string
	if err := json.Unmarshal(p.Outputs["environment"], &out); err != nil {
		return nil, fmt.Errorf("the output environment: %w", err)
	}
	return out, nil
}
