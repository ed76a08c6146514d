package tools

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
)

var natsPin = regexp.MustCompile(`natsServer\s+= "(v[0-9.]+)"`)

// NATSVersion is the version of nats-server that all tests run with, as deploy/local says.
func NATSVersion() (string, error) {
	root, err := repo.Root()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(root, "deploy", "local", "internal", "tools", "tools.go"))
	if err != nil {
		return "", err
	}
	m := natsPin.FindStringSubmatch(string(text))
	if m == nil {
		return "", errors.New("deploy/local pins no version of nats-server")
	}
	return m[1], nil
}

// NATSServer is the path of that nats-server.
func NATSServer(ctx context.Context) (string, error) {
	version, err := NATSVersion()
	if err != nil {
		return "", err
	}
	return Tool{Name: "nats-server", Package: "github.com/nats-io/nats-server/v2", Version: version}.Path(ctx)
}
