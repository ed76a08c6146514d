// Command write writes deploy/terraform/POLICIES.md: `bin/local with-servers -- go run ./internal/terraform/write`, in
// deploy/check.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/twinreel/twinreel/deploy/check/internal/terraform"
)

func main() {
	if err := write(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
		os.Exit(1)
	}
}

func write(ctx context.Context) error {
	servers, err := terraform.LocalServers()
	if err != nil {
		return err
	}
	tree, err := terraform.Read()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "terraform")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tf, err := terraform.Open(ctx, dir, tree)
	if err != nil {
		return err
	}
	p, err := tf.Plan(ctx, tree, dir+"/tree")
	if err != nil {
		return err
	}
	config, err := p.Config()
	if err != nil {
		return err
	}
	recorded, err := servers.Record(ctx, p, config)
	if err != nil {
		return err
	}
	page, err := p.Page(recorded)
	if err != nil {
		return err
	}
	path, err := terraform.PagePath()
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(page), 0o644)
}
