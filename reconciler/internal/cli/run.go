package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/pkg/service"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/daemon"
)

// exit is an exit code of which all is said.
type exit int

func (exit) Error() string { return "ended" }

func (a *app) daemon() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run in the foreground: compare, repair, read back, seal, and answer",
		Long: `Run in the foreground until SIGTERM or SIGINT. Of several instances one leads, by a lease of a minute; all serve the record
API at TWINREEL_API_ADDR (GET /api/v1/recordings/<id>), and health and metrics at TWINREEL_ADMIN_ADDR: /livez, /readyz,
/metrics. Log lines go to stderr.

The leader
- compares what both stores hold with what was acknowledged: what is new every TWINREEL_RECONCILE_INTERVAL, whole
  inventories every TWINREEL_FULL_INTERVAL. It sends again what a tier lacks, notes in quarantine what differs, and frees
  what both tiers are proven to hold (see once --help);
- follows the dead letters: one whose tier has its copy by now is resolved; one whose sibling holds a verified copy is sent
  again with a short-lived link to it. A letter whose event contradicts what is stored, or that holds no event, is left to
  you: see dlq list;
- reads the stores' bytes back, each copy once in TWINREEL_SCRUB_PERIOD, within TWINREEL_SCRUB_BYTES_PER_HOUR;
- seals the audit log below audit/ in both stores, and purges AUDIT behind it. Else the stores are only read.`,
		Example: `  reconciler run
  TWINREEL_LOG_FORMAT=console TWINREEL_AUDIT_KEY_FILE=audit.key reconciler run
  curl -s http://127.0.0.1:8081/api/v1/recordings/rec-8a7f | jq .status`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var c config.Run
			log, err := service.Load(&c, &c.Service, a.Lookup, a.Stderr)
			if err != nil {
				return err
			}
			code := service.Serve(program, c.Service, log, func(ctx context.Context, s *service.Service) error {
				return daemon.Run(ctx, s, c)
			})
			if code != service.ExitOK {
				return exit(code)
			}
			return nil
		},
	}
}
