// Command worker-backup streams each accepted recording from its source to Azure Blob, the backup tier.
package main

import (
	"context"
	"os"

	"github.com/twinreel/twinreel/pkg/objstore/azstore"
	"github.com/twinreel/twinreel/pkg/service"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/worker"
	"github.com/twinreel/twinreel/worker-backup/internal/config"
)

func main() {
	var c config.Config
	os.Exit(service.Main(service.Program{
		Name:     "worker-backup",
		About:    "streams each accepted recording from its source to Azure Blob, the backup tier",
		Settings: &c,
		Service:  &c.Worker.Service,
		Run: func(ctx context.Context, s *service.Service) error {
			store, err := azstore.Open(ctx, c.Azure)
			if err != nil {
				return err
			}
			return worker.Run(ctx, s, c.Worker, tier.Backup, store)
		},
	}))
}
