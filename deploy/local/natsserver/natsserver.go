// Package natsserver holds the part of a nats-server's configuration that says which program may do what: one user for
// each. It is a file of its own so that other deployments include the same one.
package natsserver

import (
	_ "embed" // the file
	"strings"
)

// File is the name of the file, for `include`.
const File = "permissions.conf"

// Permissions is the file.
//
//go:embed permissions.conf
var Permissions string

// Provisioner is the user of `reconciler provision`. Every other user has its program's name.
const Provisioner = "provisioner"

// Region is the user of a peer region's servers, where there are two regions, and RegionFile the file of its permissions, which
// RegionPermissions is.
const (
	Region     = "region"
	RegionFile = "region.conf"
)

// RegionPermissions is the file.
//
//go:embed region.conf
var RegionPermissions string

// Users are the users that Permissions has permissions for.
func Users() []string {
	return []string{"ingress", "worker-primary", "worker-backup", "reconciler", Provisioner}
}

// Variable is what a user's permissions are called in Permissions.
func Variable(user string) string { return strings.ToUpper(strings.ReplaceAll(user, "-", "_")) }
