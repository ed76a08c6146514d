// Package schema knows which attributes and blocks the resources of terraform's providers have.
//
// The providers themselves cannot be built from their Go modules any more. What is published are bindings that were made from
// their schemas, for every resource, in a form that a program can read: the npm packages @cdktf/provider-aws and
// @cdktf/provider-azurerm. They name each attribute, its type, whether it is required, and each block. They do not say which
// values an attribute takes, which attributes exclude each other, and what a change replaces: that is not checked.
package schema

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/twinreel/twinreel/deploy/check/internal/tools"
)

// Attribute is one attribute. Type is string, number, bool, or an element type after "list ", "set " or "map "; "objects" is a
// list of what Fields says, which only the provider sets.
type Attribute struct {
	Name     string
	Type     string
	Required bool
	Optional bool
	Fields   []Attribute `json:",omitempty"`
}

// Computed reports whether the provider may set the attribute where the configuration does not.
func (a Attribute) Computed() bool { return !a.Required }

// Block is a resource, or a block inside one.
type Block struct {
	Name       string
	Nesting    string // list, set or single, of a block inside another
	One        bool   // at most one of it
	Attributes []Attribute
	Blocks     []Block
}

// Provider is what is known of one provider.
type Provider struct {
	Name      string // aws, azurerm
	Version   string // of the provider
	Config    Block
	Resources map[string]Block // by type
}

// bindings are where a provider's schema comes from.
type bindings struct {
	provider string
	from     tools.Archive
	class    string // of the provider's own configuration
}

func published() []bindings {
	return []bindings{
		{"aws", tools.Archive{
			Package: "@cdktf/provider-aws", Version: "21.22.1",
			Sum: "sha512-BuSHeaQFUL9l33pBzIMRT7cTQ69AM2mLtijjteCPhVQRmvuhuj9Lvfymf7knAMhYqAT6+Lrls9jiGVW/Us3zrQ==",
		}, "AwsProvider"},
		{"azurerm", tools.Archive{
			Package: "@cdktf/provider-azurerm", Version: "14.23.1",
			Sum: "sha512-3H20Ozj7dOKmIj6mqorHZEjLNo5wO/MBEVHwu6k53fln/0EciGQa9sDLWBYSb0o40Ycpih9lFp/k6SGRbFlQVg==",
		}, "AzurermProvider"},
	}
}

// Of returns the providers, with these types of resources and no others. A type that its provider does not have is an error.
func Of(ctx context.Context, types []string) ([]Provider, error) {
	var out []Provider
	for _, b := range published() {
		p, err := b.read(ctx, types)
		if err != nil {
			return nil, fmt.Errorf("the schema of the provider %s: %w", b.provider, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// Write keeps a provider in a file, for the stand-in.
func (p Provider) Write(dir string) (string, error) {
	var text bytes.Buffer
	if err := json.NewEncoder(&text).Encode(p); err != nil {
		return "", err
	}
	path := filepath.Join(dir, p.Name+".json")
	return path, os.WriteFile(path, text.Bytes(), 0o644)
}
