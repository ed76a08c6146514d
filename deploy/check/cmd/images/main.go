// Command images builds the container images; `make images` runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/twinreel/twinreel/deploy/check/internal/images"
	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := build(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func build(ctx context.Context) error {
	root, err := repo.Root()
	if err != nil {
		return err
	}
	arch := flag.String("arch", runtime.GOARCH, "the processor to build for: amd64 or arm64")
	out := flag.String("out", filepath.Join(root, "bin", "images"), "where the archives, inventories and checksums go")
	registry := flag.String("registry", "", "what stands before the images' names, such as example.com/team/")
	flag.Parse()
	list, err := images.Builder{Root: root, Out: *out, Arch: *arch, Registry: *registry, Say: os.Stderr}.All(ctx)
	if err != nil {
		return err
	}
	for _, one := range list {
		fmt.Printf("%-40s %5.1f MB  program sha256 %s\n", one.Name, float64(one.Bytes)/1e6, one.Binary)
	}
	fmt.Printf("archives, inventories (CycloneDX) and SHA256SUMS are in %s\n", *out)
	return nil
}
