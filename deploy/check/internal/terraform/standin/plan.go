package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// account owns all that is made up.
const account = "123456789012"

// plan takes what is configured, and makes up what is left to the provider.
func (s *server) plan(resource string, proposed *tfprotov6.DynamicValue) (*tfprotov6.DynamicValue, error) {
	t := (&tfprotov6.Schema{Block: block(s.provider.Resources[resource])}).ValueType()
	v, err := proposed.Unmarshal(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", resource, err)
	}
	if v.IsNull() {
		return proposed, nil
	}
	configured := map[string]string{}
	var top map[string]tftypes.Value
	if err := v.As(&top); err != nil {
		return nil, err
	}
	for name, value := range top {
		var text string
		if value.IsKnown() && !value.IsNull() && value.Type().Is(tftypes.String) && value.As(&text) == nil {
			configured[name] = text
		}
	}
	v, err = tftypes.Transform(v, func(at *tftypes.AttributePath, value tftypes.Value) (tftypes.Value, error) {
		name, ok := at.LastStep().(tftypes.AttributeName)
		if !ok || value.IsKnown() && !value.IsNull() {
			return value, nil
		}
		return madeUp(resource, string(name), value.Type(), configured), nil
	})
	if err != nil {
		return nil, err
	}
	planned, err := tfprotov6.NewDynamicValue(t, v)
	return &planned, err
}

// madeUp is a value that looks like a cloud's; what nobody refers to is null.
func madeUp(resource, name string, t tftypes.Type, c map[string]string) tftypes.Value {
	if list, ok := t.(tftypes.List); ok {
		if object, ok := list.ElementType.(tftypes.Object); ok {
			fields := map[string]tftypes.Value{}
			for field, ft := range object.AttributeTypes {
				fields[field] = tftypes.NewValue(ft, nil)
				if ft.Is(tftypes.String) {
					fields[field] = tftypes.NewValue(ft, "*.made-up-"+name+".example.com")
				}
			}
			return tftypes.NewValue(t, []tftypes.Value{tftypes.NewValue(object, fields)})
		}
	}
	if !t.Is(tftypes.String) {
		return tftypes.NewValue(t, nil)
	}
	text, ok := identifier(resource, name, c)
	if !ok {
		return tftypes.NewValue(t, nil)
	}
	return tftypes.NewValue(t, text)
}

// identifier makes up what resources are referred to by.
func identifier(resource, name string, c map[string]string) (string, bool) {
	azure := func(kind string) string {
		return "/subscriptions/" + uuid("subscription") + "/resourceGroups/" + c["resource_group_name"] + "/providers/" + kind + "/" + c["name"]
	}
	switch resource + "." + name {
	case "aws_s3_bucket.arn":
		return "arn:aws:s3:::" + c["bucket"], true
	case "aws_iam_role.arn":
		return "arn:aws:iam::" + account + ":role/" + c["name"], true
	case "aws_kms_key.arn":
		return "arn:aws:kms:" + c["region"] + ":" + account + ":key/" + uuid(c["description"]), true
	case "aws_kms_key.key_id":
		return uuid(c["description"]), true
	case "azurerm_storage_account.id":
		return azure("Microsoft.Storage/storageAccounts"), true
	case "azurerm_user_assigned_identity.id":
		return azure("Microsoft.ManagedIdentity/userAssignedIdentities"), true
	case "azurerm_storage_container.id":
		return c["storage_account_id"] + "/blobServices/default/containers/" + c["name"], true
	case "azurerm_role_definition.role_definition_resource_id":
		return c["scope"] + "/providers/Microsoft.Authorization/roleDefinitions/" + uuid(c["name"]), true
	}
	switch name {
	case "principal_id", "client_id", "tenant_id":
		return uuid(name + c["name"]), true
	case "private_ip_address":
		return "10.0.0.4", true
	case "id", "arn":
		return "made-up-" + resource + "-" + c["name"] + c["bucket"], true
	}
	return "", false
}

// uuid is always the same for the same text.
func uuid(of string) string {
	sum := sha256.Sum256([]byte(of))
	h := hex.EncodeToString(sum[:16])
	return fmt.Sprintf("%s-%s-4%s-8%s-%s", h[:8], h[8:12], h[13:16], h[17:20], h[20:32])
}
