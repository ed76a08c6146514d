// Package config is what worker-backup is set up with: what every worker is, and its store.
package config

import (
	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/worker"
)

// Config is all settings of the program.
type Config struct {
	Worker worker.Config
	Azure  azstore.Config
}
