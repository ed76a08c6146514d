package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/twinreel/twinreel/deploy/check/internal/terraform/schema"
)

// provider is whom this process stands in for: terraform starts it as terraform-provider-NAME_vVERSION.
func provider() string {
	name := strings.TrimPrefix(filepath.Base(os.Args[0]), "terraform-provider-")
	name, _, _ = strings.Cut(name, "_")
	return name
}

// block is a block's schema in terraform's own terms.
func block(b schema.Block) *tfprotov6.SchemaBlock {
	out := &tfprotov6.SchemaBlock{}
	for _, a := range b.Attributes {
		out.Attributes = append(out.Attributes, &tfprotov6.SchemaAttribute{
			Name: a.Name, Type: typeOf(a), Required: a.Required, Optional: a.Optional, Computed: a.Computed(),
		})
	}
	for _, inner := range b.Blocks {
		nested := &tfprotov6.SchemaNestedBlock{TypeName: inner.Name, Block: block(inner)}
		switch inner.Nesting {
		case "single":
			nested.Nesting = tfprotov6.SchemaNestedBlockNestingModeSingle
		case "set":
			nested.Nesting = tfprotov6.SchemaNestedBlockNestingModeSet
		default:
			nested.Nesting = tfprotov6.SchemaNestedBlockNestingModeList
		}
		if inner.One && inner.Nesting != "single" {
			nested.MaxItems = 1
		}
		out.BlockTypes = append(out.BlockTypes, nested)
	}
	return out
}

func typeOf(a schema.Attribute) tftypes.Type {
	if a.Type == "objects" {
		fields := map[string]tftypes.Type{}
		for _, f := range a.Fields {
			fields[f.Name] = typeOf(f)
		}
		return tftypes.List{ElementType: tftypes.Object{AttributeTypes: fields}}
	}
	outer, element, nested := strings.Cut(a.Type, " ")
	if !nested {
		return scalar(outer)
	}
	switch outer {
	case "set":
		return tftypes.Set{ElementType: scalar(element)}
	case "map":
		return tftypes.Map{ElementType: scalar(element)}
	}
	return tftypes.List{ElementType: scalar(element)}
}

func scalar(name string) tftypes.Type {
	switch name {
	case "number":
		return tftypes.Number
	case "bool":
		return tftypes.Bool
	}
	return tftypes.String
}
