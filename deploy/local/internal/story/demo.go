package story

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twinreel/twinreel/deploy/local/internal/fleet"
	"github.com/twinreel/twinreel/deploy/local/internal/outside"
	"github.com/twinreel/twinreel/deploy/local/internal/platform"
)

// Config says what story to play. Demo is the one that people see; tests play shorter ones.
type Config struct {
	Recordings int
	// Largest is the size of the largest recording in bytes; the smallest has 200 KB.
	Largest int64
	Seed    uint64
	// Forged is how many webhooks with a wrong signature are sent.
	Forged int
	// Outage is how long the S3 server is away.
	Outage time.Duration
	// InFlight is how many webhooks are sent at once.
	InFlight int
	// Patience bounds everything from the first webhook to the last copy.
	Patience time.Duration
}

// Demo is the story that `make demo` plays.
func Demo() Config {
	return Config{Recordings: 60, Largest: 300_000_000, Seed: 3, Forged: 4, Outage: 10 * time.Second, InFlight: 8, Patience: 5 * time.Minute}
}

// Env is what the programs are told beyond where the servers are: to try again sooner than they would in production,
// so that nobody has to wait.
func Env() map[string]string {
	return map[string]string{
		"TWINREEL_RETRY_BASE": "500ms", "TWINREEL_RETRY_CAP": "4s", "TWINREEL_BREAKER_OPEN": "2s", "TWINREEL_PROBE_INTERVAL": "1s",
	}
}

// Play plays the story on a stage and says what came of it. Its error is about the playing; what the story proved, or
// did not, is in the summary.
func Play(ctx context.Context, s *Stage, screen Screen, cfg Config) (*Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Patience)
	defer cancel()
	watch, err := StartWatch(ctx, s.Stack.NATSAccess)
	if err != nil {
		return nil, err
	}
	defer watch.Close()
	p := &play{stage: s, screen: screen, cfg: cfg, watch: watch, sum: &Summary{Config: cfg, Start: time.Now()}}
	if err := p.prepare(); err != nil {
		return nil, err
	}
	defer screen.Close()
	defer p.showProgress()()
	if err := p.acts(ctx); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, p.logs())
	}
	p.sum.Moved = time.Since(p.sum.Start)
	return p.sum, p.judge(ctx)
}

// play is a story under way.
type play struct {
	stage  *Stage
	screen Screen
	cfg    Config
	watch  *Watch
	sum    *Summary

	recordings []*platform.Recording
	dead       *platform.Recording
	answered   atomic.Int64
	read       atomic.Int64
}

// prepare makes the recordings.
func (p *play) prepare() (err error) {
	if p.recordings, err = cast(p.stage.Platform, p.cfg); err != nil {
		return err
	}
	for _, r := range p.recordings {
		p.sum.Bytes += r.Size
	}
	p.dead, err = DeadLink(p.stage.Platform)
	return err
}

// acts are the story: half of the webhooks, the outage with the other half, and what follows.
func (p *play) acts(ctx context.Context) error {
	half := len(p.recordings) / 2
	p.screen.Say("the platform sends webhooks for %d of %d recordings (%s in all)", half, len(p.recordings), Size(p.sum.Bytes))
	first := p.send(ctx, p.recordings[:half], p.cfg.Forged/2)
	// Not all of the first half: some uploads shall be under way when the server goes.
	if err := p.watch.Wait(ctx, "primary", half*3/4); err != nil {
		return errors.Join(err, <-first)
	}
	if err := <-first; err != nil {
		return err
	}
	if err := p.outage(ctx, half); err != nil {
		return err
	}
	return p.settle(ctx)
}

// outage stops the S3 server while the other half of the webhooks comes.
func (p *play) outage(ctx context.Context, half int) error {
	if err := p.stage.Stack.S3.Stop(); err != nil {
		return err
	}
	from := time.Now()
	p.screen.Say("S3 is DOWN for %s; the platform goes on sending, and has withdrawn one recording", p.cfg.Outage)
	second := p.send(ctx, append(slices.Clone(p.recordings[half:]), p.dead), p.cfg.Forged-p.cfg.Forged/2)
	select {
	case <-time.After(p.cfg.Outage):
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), <-second)
	}
	to := time.Now()
	if err := p.stage.Stack.S3.Start(ctx); err != nil {
		return err
	}
	p.sum.Back = time.Now()
	p.sum.Outage.Lasted = to.Sub(from)
	p.sum.Outage.Backup, p.sum.Outage.BackupBytes = p.watch.Between("backup", from, to)
	p.sum.Outage.Primary, _ = p.watch.Between("primary", from, to)
	p.screen.Say("S3 is back; meanwhile backup went on alone: %d recordings, %s (primary: %d)",
		p.sum.Outage.Backup, Size(p.sum.Outage.BackupBytes), p.sum.Outage.Primary)
	return <-second
}

// settle waits for the rest: both tiers have all, the dead letters are there, nothing is left to do.
func (p *play) settle(ctx context.Context) error {
	for _, tier := range Tiers() {
		if err := p.watch.Wait(ctx, tier, len(p.recordings)); err != nil {
			return err
		}
		if tier == "primary" {
			p.sum.CaughtUp = time.Since(p.sum.Back)
			p.screen.Say("primary has caught up, %.1f s after S3 came back", p.sum.CaughtUp.Seconds())
		}
	}
	return p.stage.Settle(ctx)
}

// send sends webhooks in the background; the channel gives its error, or nil, once.
func (p *play) send(ctx context.Context, recordings []*platform.Recording, forged int) <-chan error {
	done := make(chan error, 1)
	go func() {
		report, err := p.stage.Platform.Burst(ctx, recordings, platform.BurstOptions{
			InFlight: p.cfg.InFlight, DuplicateShare: 0.1, StartedShare: 0.1, Forged: forged,
			Each: func(r *platform.Recording, a platform.Answer) {
				if r != nil && a.Code == "accepted" {
					p.answered.Add(1)
				}
			},
		})
		p.sum.add(report)
		done <- err
	}()
	return done
}

// showProgress shows how far the story is until the returned function is called.
func (p *play) showProgress() (stop func()) {
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			p.screen.Show(p.state())
			select {
			case <-tick.C:
			case <-ended:
				return
			}
		}
	}()
	return func() { close(ended); <-gone }
}

func (p *play) state() State {
	s := State{
		Answered: p.answered.Load(), Webhooks: int64(len(p.recordings) + 1), Total: p.sum.Bytes, Recordings: len(p.recordings),
		Read: p.read.Load(), Bytes: make(map[string]int64), Have: make(map[string]int),
	}
	for _, tier := range Tiers() {
		s.Have[tier], s.Bytes[tier] = p.watch.Count(tier)
	}
	return s
}

// judge reads everything back and fills in the rest of the summary.
func (p *play) judge(ctx context.Context) (err error) {
	p.screen.Say("an independent reader reads back and hashes all of both stores …")
	w, start := p.stage.Stack.World(), time.Now()
	azure, err := outside.NewAzure(w.Azure.ContainerURL(), w.Azure.ReaderSAS)
	if err != nil {
		return err
	}
	s3 := outside.NewS3(w.S3.Endpoint, w.S3.Region, w.S3.Bucket, w.S3.Reader.Access, w.S3.Reader.Secret)
	reader := outside.Reader{Stores: []outside.Store{s3, azure}, Parallel: 4, Read: func(n int64) { p.read.Add(n) }}
	if p.sum.Stores, err = reader.Compare(ctx, outside.FromPlatform(p.stage.Platform)); err != nil {
		return err
	}
	p.sum.ReadBack = time.Since(start)
	if p.sum.Letters, err = p.stage.Fleet.Letters(ctx); err != nil {
		return err
	}
	for _, r := range p.recordings {
		status, err := p.stage.Fleet.Status(ctx, r.Key())
		if err != nil {
			return err
		}
		if status != "completed" {
			p.sum.Records = append(p.sum.Records, r.Key()+" is "+status)
		}
		p.sum.second(p.watch, r)
	}
	last := p.recordings[len(p.recordings)-1]
	status, err := p.stage.Fleet.Record(ctx, p.stage.Reconciler, last.Key())
	if err != nil {
		return err
	}
	p.screen.Say("the reconciler's record API says of %s: %s", last.Key(), status)
	if status != "completed" {
		p.sum.Records = append(p.sum.Records, "the record API says that "+last.Key()+" is "+status)
	}
	p.sum.Dead = p.dead.Key()
	p.sum.PeakRSS = map[string]int64{
		fleet.Ingress: p.stage.Ingress.PeakRSS(), fleet.WorkerPrimary: p.stage.Primary.PeakRSS(), fleet.WorkerBackup: p.stage.Backup.PeakRSS(),
		fleet.Reconciler: p.stage.Reconciler.PeakRSS(),
	}
	return nil
}

// logs are the last lines of every program, for when the story did not come to its end.
func (p *play) logs() string {
	var text string
	for _, program := range p.stage.Fleet.Programs() {
		text += fmt.Sprintf("--- last lines of %s\n%s\n", program.Name, program.Tail())
	}
	return text
}
