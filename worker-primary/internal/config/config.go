// Package config is what worker-primary is set up with: what every worker is, and its store.
package config

import (
	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/worker"
)

// Config is all settings of the program.
type Config struct {
	Worker   worker.Config
	S3       s3store.Config
	Requests worker.RequestLimit
}
