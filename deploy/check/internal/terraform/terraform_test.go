package terraform_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
	"github.com/twinreel/twinreel/deploy/check/internal/terraform"
)

// open reads the tree, and gets terraform ready.
func open(t *testing.T) (terraform.Tree, *terraform.Terraform) {
	t.Helper()
	tree, err := terraform.Read()
	if err != nil {
		t.Fatal(err)
	}
	tf, err := terraform.Open(t.Context(), t.TempDir(), tree, "azurerm_storage_management_policy")
	if err != nil {
		t.Fatal(err)
	}
	return tree, tf
}

func TestItIsFormattedAndSaysWhatEachVariableIs(t *testing.T) {
	tree, tf := open(t)
	if err := tf.Format(t.Context(), tree, t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := tree.Check(); err != nil {
		t.Error(err)
	}
}

// private are ways to both stores in two regions.
const private = `private_network={aws_network={vpc_id="vpc-1",route_table_ids=["rtb-1"],subnet_ids=["subnet-1"],security_group_ids=["sg-1"]},` +
	`aws_peer={vpc_id="vpc-2",region="us-west-2",cidr="10.2.0.0/16",route_table_ids=["rtb-2"],our_cidr="10.1.0.0/16",our_route_table_ids=["rtb-1"]},` +
	`azure_network={resource_group_name="network",location="eastus2",subnet_id="/subnets/1",vnet_ids={here="/vnets/1"}},` +
	`azure_peerings={a={resource_group_name="network",vnet_name="1",remote_vnet_id="/vnets/2"},b={resource_group_name="network",vnet_name="2",remote_vnet_id="/vnets/1"}},azure_only_private=true}`

// oneRegion is one where the programs run.
const oneRegion = `{name="a",oidc_provider_arn="arn:aws:iam::123456789012:oidc-provider/x",issuer="https://x",target="a.example.com",health_host="b.example.com"}`

func TestEachWayToUseItIsPlannedAndByTheRules(t *testing.T) {
	tree, tf := open(t)
	for name, c := range map[string]struct {
		variables []string
		makes     map[string]int // resource's type and name to how many
	}{
		"two regions": {nil, map[string]int{
			"aws_iam_role.program": 4, "azurerm_role_assignment.writer": 2, "azurerm_role_assignment.sealer": 2, "azurerm_federated_identity_credential.program": 4,
			"aws_route53_record.webhooks": 2, "aws_route53_health_check.ingress": 2, "aws_vpc_endpoint.gateway": 0,
		}},
		"the first apply, before retention in Azure is locked": {[]string{"azure_retention_locked=false"}, map[string]int{
			"azurerm_role_assignment.writer": 0, "azurerm_role_assignment.reader": 2, "aws_iam_role.program": 4,
		}},
		"names that are somebody else's": {[]string{"zone_id=null", "webhook_name=null"}, map[string]int{"aws_route53_record.webhooks": 0}},
		"private ways to both stores": {[]string{`aws_peer_region="us-west-2"`, private}, map[string]int{
			"aws_vpc_endpoint.gateway": 1, "aws_vpc_endpoint.interface": 1, "aws_vpc_peering_connection_accepter.peer": 1, "aws_route.to_peer": 1, "aws_route.from_peer": 1,
			"azurerm_private_endpoint.blob": 1, "azurerm_private_dns_zone_virtual_network_link.blob": 1, "azurerm_virtual_network_peering.peer": 2,
		}},
		"a lock in each request":         {[]string{"lock_each_object=true"}, map[string]int{"aws_iam_role.program": 4}},
		"a key of one's own":             {[]string{`azure_customer_key={key_vault_key_id="https://v.vault.azure.net/keys/k",identity_id="/identities/1"}`}, nil},
		"one region":                     {[]string{"regions=[" + oneRegion + "]"}, map[string]int{"aws_iam_role.program": 2, "aws_route53_record.webhooks": 1}},
		"classes and an end of its life": {[]string{`storage_classes={STANDARD_IA=30,GLACIER_IR=180}`, "expire_after_days=3000"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := tf.Plan(t.Context(), tree, t.TempDir(), c.variables...)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range p.Rules() {
				t.Error(problem)
			}
			have := map[string]int{}
			for _, r := range p.Resources {
				have[r.Type+"."+r.Name]++
			}
			for what, n := range c.makes {
				if have[what] != n {
					t.Errorf("%d of %s, want %d", have[what], what, n)
				}
			}
		})
	}
}

func TestVariablesThatCannotBeAreRefusedInWords(t *testing.T) {
	tree, tf := open(t)
	region := oneRegion
	for variable, want := range map[string]string{
		"retention_days=0":                        "at least 1",
		"retention_days=1.5":                      "a whole number",
		`retention_mode="SOFT"`:                   "want GOVERNANCE or COMPLIANCE",
		"expire_after_days=100":                   "less than retention_days",
		`storage_classes={GLACIER=90}`:            "nothing can be read at once",
		`storage_classes={STANDARD_IA=1}`:         "nothing moves before 30 days",
		`bucket="has.a.dot"`:                      "break TLS",
		`storage_account="Has-Capitals"`:          "want 3 to 24",
		`aws_account_id="12"`:                     "want twelve digits",
		`aws_region="virginia"`:                   "want the name of an AWS region",
		`azure_subscription_id="x"`:               "want the ID of a subscription",
		"regions=[]":                              "one or two",
		"regions=[" + region + "," + region + "]": "different names",
		"regions=[" + strings.Replace(region, "https://x", "https://y", 1) + "]":                "of one cluster",
		"regions=[" + strings.Replace(region, "b.example.com", "https://b", 1) + "]":            "without scheme and port",
		"regions=[" + strings.Replace(region, "b.example.com", "webhooks.example.com", 1) + "]": "the region's own name",
		"administrator_arns=[]":                      "want at least one",
		`administrator_arns=["*"]`:                   "without *",
		`break_glass_arns=["arn:aws:iam::1:user/x"]`: "want at least one ARN",
		`break_glass_principal_ids=["me"]`:           "want object IDs",
		"webhook_name=null":                          "belong together",
		`zone_id="example.com"`:                      "the ID of a hosted zone",
		"private_network={azure_only_private=true}":  "no way to the account",
	} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			if _, err := tf.Plan(t.Context(), tree, t.TempDir(), variable); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

// Without clusters: users or machines that exist are trusted, by name.
func TestIdentitiesThatExistAreTrustedByName(t *testing.T) {
	tree, tf := open(t)
	for _, edit := range []struct{ old, replacement string }{
		{`{ oidc_provider_arn = who.provider, subject = who.subject }`, `{ principal_arns = ["arn:aws:iam::123456789012:user/${name}"] }`},
		{`{ issuer = who.issuer, subject = who.subject }`, `{ principal_id = "00000000-0000-4000-8000-000000000009" }`},
	} {
		var err error
		if tree, err = tree.With("production/main.tf", edit.old, edit.replacement); err != nil {
			t.Fatal(err)
		}
	}
	p := planned(t, tree, tf)
	for _, problem := range p.Rules() {
		t.Error(problem)
	}
	for _, r := range p.Resources {
		if r.Type == "azurerm_user_assigned_identity" {
			t.Errorf("%s is made besides", r.Address)
		}
		if trust, _ := r.Values["assume_role_policy"].(string); r.Name == "program" && trust != "" && !strings.Contains(trust, "user/us-") {
			t.Errorf("%s trusts %s", r.Address, trust)
		}
	}
}

// What comes out of terraform goes into programs: no name that they do not know, none that they need left out.
func TestTheOutputsAreThePrograms(t *testing.T) {
	tree, tf := open(t)
	for name, variables := range map[string][]string{"plain": nil, "with a lock in each request": {"lock_each_object=true"}} {
		t.Run(name, func(t *testing.T) {
			p, err := tf.Plan(t.Context(), tree, t.TempDir(), variables...)
			if err != nil {
				t.Fatal(err)
			}
			all, err := p.Environment()
			if err != nil {
				t.Fatal(err)
			}
			if len(all) != 2 {
				t.Errorf("%d regions, want 2", len(all))
			}
			for region, programs := range all {
				for program, env := range programs {
					for _, problem := range fits(t, program, env) {
						t.Errorf("%s, %s: %v", region, program, problem)
					}
				}
				if len(programs) != 3 {
					t.Errorf("%s: settings for %d programs, want 3", region, len(programs))
				}
			}
			if got := all["us-east-1"]["reconciler"]["TWINREEL_S3_OBJECT_LOCK_MODE"]; (got == "GOVERNANCE") != (variables != nil) {
				t.Errorf("the lock is %q", got)
			}
		})
	}
}

// fits says what of an environment its program does not know, and what it needs of its stores and is not there.
func fits(t *testing.T, program string, env map[string]string) (problems []error) {
	t.Helper()
	known, err := repo.Settings(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, s := range known {
		names[s.Name] = true
		if s.Required && env[s.Name] == "" && (strings.HasPrefix(s.Name, "TWINREEL_S3_") || strings.HasPrefix(s.Name, "TWINREEL_AZURE_")) {
			problems = append(problems, errors.New(s.Name+" is required"))
		}
		if s.Secret && env[s.Name] != "" {
			problems = append(problems, errors.New(s.Name+" is a secret, and no output"))
		}
	}
	for name, value := range env {
		if !names[name] {
			problems = append(problems, errors.New("it does not know "+name))
		}
		if value == "" {
			problems = append(problems, errors.New(name+" is empty"))
		}
	}
	return problems
}
