// Package dashboard describes the Grafana dashboard for whoever is woken, and writes it as the JSON that Grafana loads.
//
// The top row answers four questions: what is wrong, since when, in which tier, is anything at risk. Below it is a row for each
// place where one looks next. What the reconciler tells only its leader tells, so max over instances is the leader's word.
package dashboard

// Panel is one figure. Width is of 24 columns.
type Panel struct {
	Title   string
	Means   string // shown with the title: what is good, what is not
	Kind    string // stat, timeseries or table
	Unit    string
	Width   int
	Queries []Query
	// Amber and Red are where a stat turns that colour; 0 for never.
	Amber, Red float64
}

// Query is an expression and how its series are called.
type Query struct{ Expr, Legend string }

// Row is a heading with its panels.
type Row struct {
	Title  string
	Height int
	Panels []Panel
}

// one is a list of one query.
func one(expr, legend string) []Query { return []Query{{expr, legend}} }

// Rows are the dashboard, from top to bottom.
func Rows() []Row {
	return []Row{wrong(), tiers(), queue(), stores(), audit(), webhooks(), regions()}
}

func wrong() Row {
	return Row{"What is wrong, since when, is anything at risk", 7, []Panel{
		{
			Title: "Firing now, and since when", Means: "Each links to its runbook in deploy/runbooks. Empty is good.", Kind: "table", Unit: "dateTimeFromNow", Width: 10,
			Queries: one(`ALERTS_FOR_STATE{alertname=~"Twinreel.+"} * 1000 and ignoring(alertstate) ALERTS{alertname=~"Twinreel.+",alertstate="firing"}`, ""),
		},
		{
			Title: "Oldest without its copy", Means: "Age of the oldest recording that a tier has not done with. A recording may take 15 minutes.", Kind: "stat", Unit: "s", Width: 4,
			Queries: one(`max by (tier) (twinreel_oldest_unfinished_seconds)`, "{{tier}}"), Amber: 900, Red: 14400,
		},
		{
			Title: "Waiting for a tier", Means: "Recordings that wait to be taken; while they do, they have one copy at most.", Kind: "stat", Unit: "short", Width: 4,
			Queries: one(`sum by (tier) (max by (tier, kind) (twinreel_backlog{kind=~"live|backfill"}))`, "{{tier}}"), Amber: 1000, Red: 10000,
		},
		{
			Title: "Given up", Means: "Recordings with an open dead letter, and those in quarantine: a person has to look.", Kind: "stat", Unit: "short", Width: 3,
			Queries: []Query{
				{`sum by (tier) (max by (tier, reason) (twinreel_dead_letters_open))`, "{{tier}}"},
				{`max(twinreel_quarantine_open and on (job, instance) twinreel_stream_bytes{stream="AUDIT"})`, "quarantine"},
			}, Amber: 1, Red: 20,
		},
		{
			Title: "Late, or never", Means: "Of the last hour and six hours: no second copy within 15 minutes.", Kind: "stat", Unit: "short", Width: 3,
			Queries: []Query{{`round(twinreel:recordings_late:increase1h)`, "1 h"}, {`round(twinreel:recordings_late:increase6h)`, "6 h"}}, Amber: 1, Red: 5,
		},
	}}
}

func tiers() Row {
	return Row{"Tiers", 7, []Panel{
		{
			Title: "Share of new recordings", Means: "As ingress sees it: 1 all, 0 none (degraded, parked or paused).", Kind: "timeseries", Unit: "percentunit", Width: 8,
			Queries: one(`min by (tier) (twinreel_tier_weight)`, "{{tier}}"),
		},
		{
			Title: "Workers that are not well", Means: "Degraded, parked, or with a breaker that is not closed.", Kind: "timeseries", Unit: "short", Width: 8,
			Queries: []Query{
				{`sum by (tier) (twinreel_tier_degraded)`, "{{tier}} degraded"},
				{`sum by (tier) (twinreel_tier_parked)`, "{{tier}} parked"},
				{`sum by (tier) (twinreel_breaker_state > bool 0)`, "{{tier}} breaker"},
			},
		},
		{
			Title: "Programs", Means: "Instances that are scraped.", Kind: "timeseries", Unit: "short", Width: 8,
			Queries: one(`count by (program) (twinreel_build_info)`, "{{program}}"),
		},
	}}
}

func queue() Row {
	return Row{"Queue", 7, []Panel{
		{
			Title: "Backlog", Means: "live: never taken yet; backfill: routed to the other tier first; redelivering: tried before.", Kind: "timeseries", Unit: "short", Width: 8,
			Queries: one(`max by (tier, kind) (twinreel_backlog)`, "{{tier}} {{kind}}"),
		},
		{
			Title: "Deliveries a second", Means: "By how they ended. retry and parked are handed back, dead are given up.", Kind: "timeseries", Unit: "ops", Width: 8,
			Queries: one(`sum by (tier, outcome) (rate(twinreel_deliveries_total[5m])) > 0`, "{{tier}} {{outcome}}"),
		},
		{
			Title: "Given up, an hour", Means: "Dead letters by reason.", Kind: "timeseries", Unit: "short", Width: 8,
			Queries: one(`sum by (tier, reason) (increase(twinreel_dead_letters_total[1h])) > 0`, "{{tier}} {{reason}}"),
		},
	}}
}

func stores() Row {
	return Row{"Stores", 7, []Panel{
		{
			Title: "Media read", Means: "Bytes a second from the sources, by the tier that they go to.", Kind: "timeseries", Unit: "Bps", Width: 6,
			Queries: one(`sum by (tier) (rate(twinreel_transfer_bytes_total[5m]))`, "{{tier}}"),
		},
		{
			Title: "Time of a recording", Means: "From delivery to proof, half and 95 % of them.", Kind: "timeseries", Unit: "s", Width: 6,
			Queries: []Query{
				{`histogram_quantile(0.5, sum by (tier, le) (rate(twinreel_transfer_duration_seconds_bucket[5m])))`, "{{tier}} 50 %"},
				{`histogram_quantile(0.95, sum by (tier, le) (rate(twinreel_transfer_duration_seconds_bucket[5m])))`, "{{tier}} 95 %"},
			},
		},
		{
			Title: "To the second copy", Means: "From the webhook's 200, 95 and 99 % of them. The objective is 900 s.", Kind: "timeseries", Unit: "s", Width: 6,
			Queries: []Query{
				{`histogram_quantile(0.95, sum by (le) (rate(twinreel_redundancy_seconds_bucket[15m])))`, "95 %"},
				{`histogram_quantile(0.99, sum by (le) (rate(twinreel_redundancy_seconds_bucket[15m])))`, "99 %"},
			},
		},
		{
			Title: "Last run found", Means: "What the newest run of the reconciler found, of what needs work.", Kind: "timeseries", Unit: "short", Width: 6,
			Queries: one(`max by (kind) (twinreel_reconcile_findings and on (job, instance) (twinreel_reconcile_last_success_timestamp_seconds == on () group_left () max(twinreel_reconcile_last_success_timestamp_seconds))) > 0`, "{{kind}}"),
		},
	}}
}

func audit() Row {
	return Row{"Audit and streams", 7, []Panel{
		{
			Title: "Not sealed for", Means: "Age of the oldest audit event that no store has sealed. Five minutes are usual.", Kind: "timeseries", Unit: "s", Width: 6,
			Queries: one(`max(twinreel_audit_unsealed_seconds)`, "age"),
		},
		{
			Title: "The log is in trouble", Means: "Workers that stopped for AUDIT, and stores whose copy of the log is broken. Nothing is good.", Kind: "timeseries", Unit: "short", Width: 6,
			Queries: []Query{
				{`sum by (tier) (twinreel_audit_refusing)`, "{{tier}} refusing"},
				{`max by (tier) (twinreel_audit_store_broken)`, "{{tier}} broken"},
			},
		},
		{
			Title: "Streams", Means: "How full each is.", Kind: "timeseries", Unit: "percentunit", Width: 6,
			Queries: one(`max by (stream) (twinreel_stream_bytes) / max by (stream) (twinreel_stream_max_bytes)`, "{{stream}}"),
		},
		{
			Title: "Last good run", Means: "How long ago a run of the reconciler succeeded; one an hour is due.", Kind: "timeseries", Unit: "s", Width: 6,
			Queries: one(`time() - (max(max_over_time(twinreel_reconcile_last_success_timestamp_seconds[1d])) > 0)`, "ago"),
		},
	}}
}

func webhooks() Row {
	return Row{"Webhooks", 7, []Panel{
		{
			Title: "Webhooks a second", Means: "By how they were answered.", Kind: "timeseries", Unit: "reqps", Width: 8,
			Queries: one(`sum by (source, code) (rate(twinreel_webhooks_total[5m]))`, "{{source}} {{code}}"),
		},
		{
			Title: "Time to the answer", Means: "99 % of them; the platform gives up after some seconds.", Kind: "timeseries", Unit: "s", Width: 8,
			Queries: one(`histogram_quantile(0.99, sum by (source, le) (rate(twinreel_webhook_duration_seconds_bucket[5m])))`, "{{source}}"),
		},
		{
			Title: "Announced an hour, and a week ago", Means: "Recordings. A disabled webhook looks like a quiet night; the week before tells them apart.", Kind: "timeseries", Unit: "short", Width: 8,
			Queries: []Query{
				{`twinreel:recordings_announced:increase1h`, "{{source}}"},
				{`twinreel:recordings_announced:increase1h offset 7d`, "{{source}} a week ago"},
			},
		},
	}}
}

func regions() Row {
	return Row{"The other region, where there is one", 7, []Panel{
		{
			Title: "Behind the other region", Means: "Since when a mirror has not had all of the other region. Seconds are usual; what it accepted since is lost with it.", Kind: "timeseries", Unit: "s", Width: 8,
			Queries: one(`max by (stream) (twinreel_peer_lag_seconds)`, "{{stream}}"),
		},
		{
			Title: "Messages behind", Means: "How many of the other region's have not come over, as far as it could be asked.", Kind: "timeseries", Unit: "short", Width: 8,
			Queries: one(`max by (stream) (twinreel_peer_lag_messages)`, "{{stream}}"),
		},
		{
			Title: "The other region's, to be looked at", Means: "Its recordings of the last quarter of an hour, and what nobody here got to.", Kind: "timeseries", Unit: "short", Width: 8,
			Queries: one(`max by (tier) (twinreel_backlog{kind="peer"})`, "{{tier}}"),
		},
	}}
}
