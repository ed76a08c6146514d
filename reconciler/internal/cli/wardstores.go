package cli

import (
	"net/http"

	"github.com/twinreel/twinreel/pkg/tier"
	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/doctor"
)

// primary is the primary tier's store, by the reconciler's own identity.
func (w *ward) primary(mine doctor.Identity) doctor.Part {
	var s config.S3
	if err := w.app.load(&s); err != nil {
		return doctor.NotSet(tier.Primary.String(), err)
	}
	if err := mine.Trouble[tier.Primary]; err != nil {
		return doctor.Away(tier.Primary.String(), err)
	}
	part := doctor.Store{Tier: tier.Primary, Inspector: mine.Stores[tier.Primary], Region: s.S3.Region, RetentionDays: w.retentionDays()}
	if s.S3.SSE != "none" {
		part.Encrypt, part.Key = s.S3.SSE, s.S3.KMSKeyID
	}
	return part
}

// backup is the backup tier's.
func (w *ward) backup(mine doctor.Identity) doctor.Part {
	var s config.Azure
	if err := w.app.load(&s); err != nil {
		return doctor.NotSet(tier.Backup.String(), err)
	}
	if err := mine.Trouble[tier.Backup]; err != nil {
		return doctor.Away(tier.Backup.String(), err)
	}
	part := doctor.Store{Tier: tier.Backup, Inspector: mine.Stores[tier.Backup], RetentionDays: w.retentionDays()}
	if s.Azure.EncryptionScope != "" {
		part.Encrypt, part.Key = "scope", s.Azure.EncryptionScope
	}
	return part
}

// retentionDays are those that are set, else the default: what is wrong with the setting is said of `run`.
func (w *ward) retentionDays() int {
	var r config.Retention
	_ = w.app.load(&r)
	return r.Days
}

func (w *ward) retention(mine doctor.Identity) doctor.Part {
	var s config.Stores
	if err := w.app.load(&s); err != nil {
		return doctor.Said(nil) // said of the stores
	}
	return doctor.Retention{
		Primary: mine.Stores[tier.Primary], Backup: mine.Stores[tier.Backup], Mode: s.S3.ObjectLockMode,
		PrimaryDays: s.S3.ObjectLockDays, BackupDays: s.Azure.ImmutabilityDays,
	}
}

func (w *ward) webhooks() doctor.Part {
	var s config.Webhooks
	if err := w.app.load(&s); err != nil {
		return doctor.NotSet("webhooks", err)
	}
	return doctor.WebhookSecret(s.Secret, s.Scheme, s.SourcesFile != "")
}

func (w *ward) platform() doctor.Part {
	var s config.Platform
	if err := w.app.load(&s); err != nil {
		return doctor.NotSet("platform", err)
	}
	return doctor.Source{
		Addresses: map[string]string{
			"TWINREEL_PLATFORM_API_URL": s.URL, "TWINREEL_RESOLVER_URL": s.API.ResolverURL, "TWINREEL_OAUTH_TOKEN_URL": s.API.OAuth.TokenURL,
		},
		Order:  []string{"TWINREEL_PLATFORM_API_URL", "TWINREEL_RESOLVER_URL", "TWINREEL_OAUTH_TOKEN_URL"},
		Client: &http.Client{Transport: &http.Transport{Proxy: s.API.Proxy()}, Timeout: monitorTimeout},
	}
}
