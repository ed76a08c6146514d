package schema

import (
	"slices"
	"strings"
	"testing"
)

func find[T any](t *testing.T, list []T, what string, is func(T) bool) T {
	t.Helper()
	i := slices.IndexFunc(list, is)
	if i < 0 {
		t.Fatalf("there is no %s", what)
	}
	return list[i]
}

func TestWhatTheBindingsSay(t *testing.T) {
	all, err := Of(t.Context(), []string{"aws_s3_bucket_lifecycle_configuration", "aws_vpc_endpoint", "azurerm_private_endpoint"})
	if err != nil {
		t.Fatal(err)
	}
	aws := find(t, all, "provider aws", func(p Provider) bool { return p.Name == "aws" })
	azure := find(t, all, "provider azurerm", func(p Provider) bool { return p.Name == "azurerm" })
	if aws.Version != "6.25.0" || azure.Version != "4.55.0" {
		t.Errorf("versions %s and %s", aws.Version, azure.Version)
	}
	attribute := func(b Block, name string) Attribute {
		t.Helper()
		return find(t, b.Attributes, name, func(a Attribute) bool { return a.Name == name })
	}
	lifecycle := aws.Resources["aws_s3_bucket_lifecycle_configuration"]
	if a := attribute(lifecycle, "bucket"); a.Type != "string" || !a.Required || a.Computed() {
		t.Errorf("bucket: %+v", a)
	}
	rule := find(t, lifecycle.Blocks, "rule", func(b Block) bool { return b.Name == "rule" })
	transition := find(t, rule.Blocks, "transition", func(b Block) bool { return b.Name == "transition" })
	if rule.Nesting != "list" || rule.One || transition.Nesting != "set" {
		t.Errorf("rule: %s, one %v; transition: %s", rule.Nesting, rule.One, transition.Nesting)
	}
	if a := attribute(transition, "storage_class"); a.Type != "string" || !a.Required {
		t.Errorf("storage_class: %+v", a)
	}
	endpoint := aws.Resources["aws_vpc_endpoint"]
	if a := attribute(endpoint, "dns_entry"); a.Type != "objects" || a.Required || a.Optional || len(a.Fields) != 2 {
		t.Errorf("dns_entry, which the provider sets: %+v", a)
	}
	if a := attribute(endpoint, "route_table_ids"); a.Type != "set string" || !a.Optional {
		t.Errorf("route_table_ids: %+v", a)
	}
	if a := attribute(endpoint, "tags"); a.Type != "map string" {
		t.Errorf("tags: %+v", a)
	}
	connection := find(t, azure.Resources["azurerm_private_endpoint"].Blocks, "private_service_connection", func(b Block) bool { return b.Name == "private_service_connection" })
	if a := attribute(connection, "private_ip_address"); !connection.One || a.Optional || a.Type != "string" {
		t.Errorf("private_ip_address: %+v", a)
	}
	find(t, azure.Config.Blocks, "features", func(b Block) bool { return b.Name == "features" })
}

func TestAResourceThatNoProviderHasIsAnError(t *testing.T) {
	if _, err := Of(t.Context(), []string{"aws_s3_buckets"}); err == nil || !strings.Contains(err.Error(), "no resource aws_s3_buckets") {
		t.Errorf("got %v", err)
	}
}
