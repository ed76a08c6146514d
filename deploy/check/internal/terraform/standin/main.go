// Command standin is what terraform talks to in place of a cloud's provider, which cannot be had here: it has the provider's
// schema, as package schema knows it, and plans whatever is configured, with made-up values for what only a cloud would know.
//
// So terraform itself, the real one, checks names, types, references and conditions, and computes every policy and output as it
// would for a real apply. What a provider checks besides (which values an attribute takes) nobody checks.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/twinreel/twinreel/deploy/check/internal/terraform/schema"
)

// folder is the variable that names the folder of the schemas' files.
const folder = "TWINREEL_STANDIN_SCHEMAS"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

func run() error {
	name := provider()
	text, err := os.ReadFile(os.Getenv(folder) + "/" + name + ".json")
	if err != nil {
		return err
	}
	var p schema.Provider
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	return tf6server.Serve("registry.terraform.io/hashicorp/"+name, func() tfprotov6.ProviderServer { return &server{provider: p} })
}

// server answers terraform.
type server struct{ provider schema.Provider }

// GetProviderSchema implements tfprotov6.ProviderServer.
func (s *server) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	out := &tfprotov6.GetProviderSchemaResponse{
		Provider:        &tfprotov6.Schema{Block: block(s.provider.Config)},
		ResourceSchemas: map[string]*tfprotov6.Schema{},
	}
	for name, b := range s.provider.Resources {
		out.ResourceSchemas[name] = &tfprotov6.Schema{Block: block(b)}
	}
	return out, nil
}

// GetMetadata implements tfprotov6.ProviderServer.
func (s *server) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	out := &tfprotov6.GetMetadataResponse{}
	for name := range s.provider.Resources {
		out.Resources = append(out.Resources, tfprotov6.ResourceMetadata{TypeName: name})
	}
	return out, nil
}

// GetResourceIdentitySchemas implements tfprotov6.ProviderServer.
func (s *server) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

// ValidateProviderConfig implements tfprotov6.ProviderServer.
func (s *server) ValidateProviderConfig(_ context.Context, r *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: r.Config}, nil
}

// ConfigureProvider implements tfprotov6.ProviderServer.
func (s *server) ConfigureProvider(context.Context, *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{}, nil
}

// StopProvider implements tfprotov6.ProviderServer.
func (s *server) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

// ValidateResourceConfig implements tfprotov6.ResourceServer: terraform has held the configuration against the schema.
func (s *server) ValidateResourceConfig(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

// PlanResourceChange implements tfprotov6.ResourceServer.
func (s *server) PlanResourceChange(_ context.Context, r *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	planned, err := s.plan(r.TypeName, r.ProposedNewState)
	if err != nil {
		return nil, err
	}
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: planned}, nil
}

// ApplyResourceChange implements tfprotov6.ResourceServer: nothing is ever made.
func (s *server) ApplyResourceChange(context.Context, *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	return nil, errNothing
}

// ReadResource implements tfprotov6.ResourceServer.
func (s *server) ReadResource(_ context.Context, r *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return &tfprotov6.ReadResourceResponse{NewState: r.CurrentState}, nil
}
