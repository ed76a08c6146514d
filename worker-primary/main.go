// Command worker-primary streams each accepted recording from its source to S3, the primary tier.
package main

import (
	"context"
	"os"

	"go.uber.org/zap"

	"github.com/twinreel/twinreel/pkg/objstore/s3store"
	"github.com/twinreel/twinreel/pkg/service"
	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/pkg/worker"
	"github.com/twinreel/twinreel/worker-primary/internal/config"
)

func main() {
	var c config.Config
	os.Exit(service.Main(service.Program{
		Name:     "worker-primary",
		About:    "streams each accepted recording from its source to S3, the primary tier",
		Settings: &c,
		Service:  &c.Worker.Service,
		Run: func(ctx context.Context, s *service.Service) error {
			store, err := s3store.Open(ctx, c.S3, s3store.OnWarning(func(text string) { s.Log.Warn("aws credentials", zap.String("trouble", text)) }))
			if err != nil {
				return err
			}
			return worker.Run(ctx, s, c.Worker, tier.Primary, store, worker.HoldRequests(c.Requests.PerSecond()))
		},
	}))
}
