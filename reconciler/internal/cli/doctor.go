package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/reconciler/internal/doctor"
)

// exitDiffers is the exit code of a command that found something that needs work.
const exitDiffers exit = 3

func (a *app) doctor() *cobra.Command {
	var as string
	var envs []string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that Twinreel rests on, before relying on it",
		Long: `Look at NATS, Redis, both stores, the identities that reach them, and the platform, and say of each thing what was found, and
where it is not as it should be also why that matters and how to mend it. Nothing is changed anywhere: whether an identity
may write or delete is learnt from requests that can never be carried out (a checksum that is wrong, a version that is not
there).

Verdicts: pass; warn (it works, and is weaker than it should be); fail (a recording can be lost, or something will not
work); unknown (this server, or these credentials, cannot tell: look yourself). Exit code 3 when a check fails.

The reconciler's environment tells its own identity alone. Name the workers' with --env ROLE=FILE, as systemd's
EnvironmentFile has it (NAME=value lines; of AWS credentials, access keys and the shared file are understood), or run
doctor --as ROLE in a worker's own environment, where that identity alone is looked at. Run it once where ingress's
TWINREEL_WEBHOOK_SECRET is, too.`,
		Example: `  reconciler doctor
  reconciler doctor -o json | jq '.[] | select(.verdict == "fail")'
  reconciler doctor --env worker-primary=/etc/twinreel/worker-primary.env --env worker-backup=/etc/twinreel/worker-backup.env
  reconciler doctor --as worker-primary`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			role, err := roleOf("--as", as)
			if err != nil {
				return err
			}
			if role != doctor.Reconciler && len(envs) > 0 {
				return usagef("--as %s: that environment is looked at alone, leave --env out", role)
			}
			others, err := a.otherEnvironments(envs)
			if err != nil {
				return err
			}
			ward := &ward{app: a, others: others}
			return a.reportChecks(doctor.Examine(cmd.Context(), ward.parts(cmd.Context(), role)...))
		},
	}
	c.Flags().StringVar(&as, "as", doctor.Reconciler.String(), "whose environment this is: reconciler, worker-primary or worker-backup")
	c.Flags().StringArrayVar(&envs, "env", nil, "ROLE=FILE: the variables of a worker; may be repeated")
	return c
}

// roleOf reads the name of a program.
func roleOf(flag, name string) (doctor.Role, error) {
	role := doctor.Role(name)
	if !slices.Contains(doctor.Roles(), role) {
		return "", usagef("%s %.40q: want reconciler, worker-primary or worker-backup", flag, name)
	}
	return role, nil
}

// otherEnvironments reads the environments that --env names.
func (a *app) otherEnvironments(envs []string) (map[doctor.Role]map[string]string, error) {
	out := map[doctor.Role]map[string]string{}
	for _, e := range envs {
		name, path, ok := strings.Cut(e, "=")
		role, err := roleOf("--env", name)
		switch {
		case !ok || path == "":
			return nil, usagef("--env %.40q: want ROLE=FILE", e)
		case err != nil:
			return nil, err
		case role == doctor.Reconciler:
			return nil, usagef("--env %s: that is this command's own environment", role)
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("the variables of %s: %w", role, err)
		}
		vars, err := doctor.ReadEnvironment(f)
		_ = f.Close() // only read
		if err != nil {
			return nil, fmt.Errorf("the variables of %s, file %s: %w", role, path, err)
		}
		out[role] = vars
	}
	return out, nil
}

// reportChecks prints the checks. The error is the exit code where one failed.
func (a *app) reportChecks(all []doctor.Check) error {
	if a.format == table {
		if err := doctor.Write(a.Stdout, all); err != nil {
			return err
		}
	} else if err := printList(a, all, "", nil, func(doctor.Check) []string { return nil }); err != nil {
		return err
	}
	n := doctor.Count(all)
	a.say("%d checks: %d pass, %d warn, %d fail, %d unknown", len(all), n[doctor.Pass], n[doctor.Warn], n[doctor.Fail], n[doctor.Unknown])
	if doctor.Failed(all) {
		return exitDiffers
	}
	return nil
}

// lazily is a part that is put together when it is looked at, so that what does not answer holds up nothing else.
type lazily func(ctx context.Context) []doctor.Check

// Examine implements doctor.Part.
func (l lazily) Examine(ctx context.Context) []doctor.Check { return l(ctx) }
