package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/twinreel/twinreel/reconciler/internal/config"
	"github.com/twinreel/twinreel/reconciler/internal/register"
)

// shownWebhook is a webhook with what is to be said of it.
type shownWebhook struct {
	register.Webhook
	Remarks []string `json:"remarks"` // in what it differs from what register makes
}

func (a *app) webhookShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show the webhooks that the platform has",
		Long: `Show the webhooks that the platform's API at TWINREEL_PLATFORM_API_URL has, Twinreel's or not, and in what each differs from one
that register makes. Queries in addresses, and headers that look like secrets, are not shown.`,
		Example: `  reconciler webhook show
  reconciler webhook show -o json | jq '.[] | select(.remarks != [])'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s config.Webhook
			client, done, err := a.platformClient(&s, &s.Platform, &s.Redis)
			if err != nil {
				return err
			}
			defer done()
			ctx, cancel := context.WithTimeout(cmd.Context(), webhookTimeout)
			defer cancel()
			all, err := client.List(ctx)
			if err != nil {
				return err
			}
			list := make([]shownWebhook, len(all))
			for n, w := range all {
				list[n] = shownWebhook{w.Shown(), register.Remarks(w)}
				if list[n].Remarks == nil {
					list[n].Remarks = []string{}
				}
			}
			return printList(a, list, "the platform has no webhooks", []string{"ID", "NAME", "EVENT", "ENABLED", "RETRIES", "URL", "REMARKS"}, webhookRow)
		},
	}
}

func webhookRow(w shownWebhook) []string {
	const nameRunes, remarkRunes = 30, 60
	return []string{
		w.ID, shorten(w.Name, nameRunes), w.Event, fmt.Sprint(w.Enabled), fmt.Sprintf("%d × %s", w.RetryCount, time.Duration(w.RetryDelay)*time.Millisecond),
		w.URL, shorten(strings.Join(w.Remarks, "; "), remarkRunes),
	}
}
