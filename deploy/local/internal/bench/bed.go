package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/twinreel/twinreel/deploy/local/internal/sink"
	"github.com/twinreel/twinreel/deploy/local/internal/stack"
)

// bed is what a row is measured on: the servers, a source, and stores or sinks, near or far.
type bed struct {
	Config
	stack *stack.Stack
	needs needs

	feed, s3, azure, far *part
	feedURL              string
	s3URL, azureURL      string // of the sinks; "" where the stores are real
	turns                int
	worlds               [2]stack.World // of rows that keep theirs
	cluster              *stack.Cluster // of rows that need one
}

// open starts the bed's own parts.
func (b *bed) open(ctx context.Context) (err error) {
	if b.feed, err = start(ctx, b.Self, partFeed, nil); err != nil {
		return err
	}
	b.feedURL = b.feed.URL
	if b.needs.sinks {
		if b.s3, err = start(ctx, b.Self, partS3, nil); err != nil {
			return err
		}
		if b.azure, err = start(ctx, b.Self, partAzure, nil); err != nil {
			return err
		}
		b.s3URL, b.azureURL = b.s3.URL, b.azure.URL
	}
	if b.needs.far == nil {
		return nil
	}
	d := *b.needs.far
	for _, u := range []*string{&b.feedURL, &b.s3URL, &b.azureURL} {
		d.Upstreams = append(d.Upstreams, strings.TrimPrefix(*u, "http://"))
	}
	if b.far, err = start(ctx, b.Self, partFar, d); err != nil {
		return err
	}
	at := strings.Fields(b.far.URL)
	b.feedURL, b.s3URL, b.azureURL = "http://"+at[0], "http://"+at[1], "http://"+at[2]
	return nil
}

func (b *bed) close() error {
	return errors.Join(b.far.close(), b.feed.close(), b.s3.close(), b.azure.close())
}

// servers are the process IDs of all that serves, by name.
func (b *bed) servers() map[string][]int {
	pids := map[string][]int{
		"nats": {b.stack.NATS.PID()}, "redis": {b.stack.Redis.PID()}, "source": {b.feed.pid()},
	}
	if b.needs.sinks {
		pids["s3 sink"], pids["azure sink"] = []int{b.s3.pid()}, []int{b.azure.pid()}
	} else {
		pids["versitygw"], pids["azurite"] = []int{b.stack.S3.PID()}, []int{b.stack.Azure.PID()}
	}
	if b.far != nil {
		pids["distance"] = []int{b.far.pid()}
	}
	return pids
}

// environ points the workers at the sinks, if there are any.
func (b *bed) environ() map[string]string {
	env := map[string]string{"TWINREEL_SOURCE_ALLOWED_CIDRS": "127.0.0.0/8", "TWINREEL_SOURCE_ALLOW_HTTP": "true"}
	if b.needs.sinks {
		env["TWINREEL_S3_ENDPOINT"] = b.s3URL
		env["TWINREEL_AZURE_SERVICE_URL"] = b.azureURL + "/account"
	}
	return env
}

// requests counts what every server has been asked so far.
func (b *bed) requests(ctx context.Context) (map[string]int64, error) {
	all := map[string]int64{}
	for _, p := range []*part{b.feed, b.s3, b.azure} {
		if p == nil {
			continue
		}
		counts, err := p.counts(ctx)
		if err != nil {
			return nil, err
		}
		for what, n := range counts {
			all[what] += n
			if kind, of, ok := strings.Cut(what, " "); ok && of != sink.Probe {
				all[kind] += n
			}
		}
	}
	var err error
	if all["nats"], err = b.natsMessages(ctx); err != nil {
		return nil, err
	}
	all["redis"], err = b.redisCalls(ctx)
	return all, err
}

// own is the name of the benchmark's own connection to NATS, whose messages do not count.
const own = "bench"

// natsMessages is how many messages all programs have sent to the NATS server.
func (b *bed) natsMessages(ctx context.Context) (sum int64, err error) {
	query := url.Values{"limit": {"1000"}, "state": {"all"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.stack.NATSAccess.MonitorURL+"/connz?"+query.Encode(), nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask NATS for its connections: %w", err)
	}
	defer resp.Body.Close()
	var answer struct {
		Connections []struct {
			Name   string `json:"name"`
			InMsgs int64  `json:"in_msgs"`
		} `json:"connections"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, fmt.Errorf("read NATS's connections: %w", err)
	}
	for _, c := range answer.Connections {
		if c.Name != own {
			sum += c.InMsgs
		}
	}
	return sum, nil
}

// redisCalls is how many round trips Redis has had: scripts and what else programs send, not what scripts call inside.
func (b *bed) redisCalls(ctx context.Context) (sum int64, err error) {
	o, err := redis.ParseURL(b.stack.RedisURL)
	if err != nil {
		return 0, err
	}
	client := redis.NewClient(o)
	defer func() { _ = client.Close() }()
	text, err := client.Info(ctx, "commandstats").Result()
	if err != nil {
		return 0, fmt.Errorf("ask Redis for its statistics: %w", err)
	}
	for line := range strings.Lines(text) {
		var calls int64
		name, rest, _ := strings.Cut(line, ":")
		if name == "cmdstat_evalsha" || name == "cmdstat_eval" || name == "cmdstat_hgetall" {
			if _, err := fmt.Sscanf(rest, "calls=%d,", &calls); err != nil {
				return 0, fmt.Errorf("read Redis's statistics: %q: %w", line, err)
			}
			if name == "cmdstat_hgetall" {
				continue // the scripts' own
			}
			sum += calls
		}
	}
	return sum, nil
}
