package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/twinreel/twinreel/deploy/local/internal/platform"
	"github.com/twinreel/twinreel/deploy/local/internal/story"
)

// stranger is an object that no recording explains.
const stranger = "recordings/stranger.bin"

// workFor lets the fleet meet what runbooks are about, and returns the names by which they speak of it, KEY=value: recordings
// in both tiers, one that both gave up, one whose copy somebody deleted, an object that nobody knows, a log that is sealed,
// and a webhook that never came.
func workFor(ctx context.Context, s *story.Stage) ([]string, error) {
	var sound []*platform.Recording
	for i, size := range story.Sizes(6, 1_000_000, 11) {
		rec, err := s.Platform.Add(platform.Spec{ID: fmt.Sprintf("call-%03d", i+1), Size: size, SendSize: true})
		if err != nil {
			return nil, err
		}
		sound = append(sound, rec)
	}
	dead, err := story.DeadLink(s.Platform)
	if err != nil {
		return nil, err
	}
	if _, err := s.Platform.Burst(ctx, append(slices.Clone(sound), dead), platform.BurstOptions{InFlight: 4}); err != nil {
		return nil, err
	}
	if err := s.Settle(ctx); err != nil {
		return nil, err
	}
	if err := putStranger(ctx, s); err != nil {
		return nil, err
	}
	// The key of the log lets this run seal it. It finds the stranger, and may find that the dead letter waits for a person.
	if err := operate(ctx, s, nil, "once"); err != nil {
		return nil, err
	}
	if err := deleteCopy(ctx, s, sound[1]); err != nil {
		return nil, err
	}
	var plan struct{ PlanID string }
	if err := operate(ctx, s, &plan, "once", "--dry-run", "-o", "json"); err != nil {
		return nil, err
	}
	missed, err := missedWebhook(s)
	if err != nil {
		return nil, err
	}
	login := s.Fleet.Provisioner()
	return []string{
		"RECORDING=" + sound[0].Key(), "LETTER=" + dead.Key(), "PLAN=" + plan.PlanID, "OBJECT=object:" + stranger,
		"TIER=primary", "CASE=2026-17", "WEBHOOKS=" + missed,
		"WEBHOOK_URL=" + s.Ingress.URL() + "/api/v1/webhooks/recording-complete",
		"PROVISIONER=" + login["TWINREEL_NATS_USER"], "PROVISIONER_PASSWORD=" + login["TWINREEL_NATS_PASSWORD"],
		"INGRESS_ADMIN=" + s.Ingress.Admin, "PRIMARY_ADMIN=" + s.Primary.Admin, "BACKUP_ADMIN=" + s.Backup.Admin,
		"RECONCILER_ADMIN=" + s.Reconciler.Admin, "API=" + s.Reconciler.API,
		"TWINREEL_API_TOKEN=" + s.Fleet.APIToken(),
		"TWINREEL_PLATFORM_API_URL=" + s.Platform.URL(), "TWINREEL_PLATFORM_TOKEN=" + s.Platform.APIToken(),
		// All of it is younger than the grace that keeps what is on its way from looking missing.
		noGrace,
	}, nil
}

// noGrace lets a run miss what was accepted a moment ago.
const noGrace = "TWINREEL_RECONCILE_GRACE=0s"

// operate runs `reconciler once` as the operator, and reads its JSON where that is wanted. That differences remain (3) is no
// failure.
func operate(ctx context.Context, s *story.Stage, into any, args ...string) error {
	r, err := s.Fleet.CommandWith(ctx, []string{noGrace, "TWINREEL_AUDIT_KEY=" + s.Fleet.AuditKey()}, args...)
	if err != nil {
		return err
	}
	if r.Code != 0 && r.Code != 3 {
		return fmt.Errorf("reconciler %s: exit code %d: %s", strings.Join(args, " "), r.Code, strings.TrimSpace(r.Stderr))
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal([]byte(r.Stdout), into); err != nil {
		return fmt.Errorf("read what reconciler %s printed: %w", strings.Join(args, " "), err)
	}
	return nil
}

// putStranger puts an object into primary that no recording explains, as the store's owner.
func putStranger(ctx context.Context, s *story.Stage) error {
	a := s.Stack.S3Access
	_, err := a.Client(a.Root).PutObject(ctx, &s3.PutObjectInput{
		Bucket: &a.Bucket, Key: aws.String(stranger), Body: strings.NewReader("nobody knows this"),
	})
	if err != nil {
		return fmt.Errorf("put %s: %w", stranger, err)
	}
	return nil
}

// deleteCopy deletes primary's copy of a recording, as the store's owner, so that a run has something to send again.
func deleteCopy(ctx context.Context, s *story.Stage, rec *platform.Recording) error {
	a := s.Stack.S3Access
	client, key := a.Client(a.Root), "recordings/"+rec.Key()+"."+rec.Format
	all, err := client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &a.Bucket, Prefix: &key})
	if err != nil {
		return fmt.Errorf("list the versions of %s: %w", key, err)
	}
	if len(all.Versions) == 0 {
		return fmt.Errorf("delete %s: there is none", key)
	}
	for _, one := range all.Versions {
		if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &a.Bucket, Key: &key, VersionId: one.VersionId}); err != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	return nil
}
