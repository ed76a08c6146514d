// Package scaling checks how many workers a backlog leads to: by KEDA's own arithmetic, stated here once more from its source,
// against the monitoring of real NATS servers, with the formulas that are applied.
package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"

	"github.com/expr-lang/expr"
)

// What KEDA 2.21 takes for a consumer's lag (pkg/scalers/nats_jetstream_scaler.go):
//   - the figures are those of the server that leads the consumer, which it looks for among the servers that the first one tells
//     of, where it is one of several: a follower's are stale;
//   - the lag is what is pending and what is not acknowledged, among it what waits for a timer;
//   - where there is no such consumer, or nobody leads it, there is no figure, and after some of these the fallback decides. (Older
//     ones took the whole stream for the lag of a consumer that is not there.)
//
// The servers are addressed by the host that each says clients may connect to, and by the port of the monitoring that was asked
// first. Where servers do not say (the chart's noAdvertise) KEDA puts a server's name before the host that it was told, which is
// why that must be the headless service.
type account struct {
	Name    string   `json:"name"`
	Streams []stream `json:"stream_detail"`
}

type stream struct {
	Name      string     `json:"name"`
	Consumers []consumer `json:"consumer_detail"`
}

type consumer struct {
	Name          string `json:"name"`
	NumPending    int64  `json:"num_pending"`
	NumAckPending int64  `json:"num_ack_pending"`
	Cluster       struct {
		Leader string `json:"leader"`
	} `json:"cluster"`
}

// find returns a stream and, if it is there, its consumer.
func find(accounts []account, in, of, called string) (s stream, c consumer, found bool) {
	for _, a := range accounts {
		if a.Name != in {
			continue
		}
		for _, one := range a.Streams {
			if one.Name != of {
				continue
			}
			for _, c := range one.Consumers {
				if c.Name == called {
					return one, c, true
				}
			}
			return one, consumer{}, false
		}
	}
	return stream{}, consumer{}, false
}

// figures asks one server.
func figures(ctx context.Context, monitoring, in string) (accounts []account, servers int, err error) {
	var answer struct {
		Accounts []account `json:"account_details"`
		Meta     struct {
			Size int `json:"cluster_size"`
		} `json:"meta_cluster"`
	}
	err = get(ctx, monitoring+"/jsz?acc="+url.QueryEscape(in)+"&consumers=true&config=true", &answer)
	return answer.Accounts, answer.Meta.Size, err
}

// Lag is a consumer's lag as KEDA takes it, asked of the server with that monitoring, and the server that was believed.
func Lag(ctx context.Context, monitoring, in, of, called string) (lag int64, by string, err error) {
	accounts, servers, err := figures(ctx, monitoring, in)
	if err != nil {
		return 0, "", err
	}
	if servers > 1 {
		if accounts, by, err = leader(ctx, monitoring, in, of, called); err != nil {
			return 0, "", err
		}
	}
	s, c, found := find(accounts, in, of, called)
	switch {
	case s.Name == "":
		return 0, "", errors.New("stream not found")
	case !found:
		return 0, "", fmt.Errorf("consumer %q not found in stream %q", called, of)
	}
	return c.NumPending + c.NumAckPending, by, nil
}

// leader asks each server for its figures until one says that it leads the consumer.
func leader(ctx context.Context, monitoring, in, of, called string) ([]account, string, error) {
	base, err := url.Parse(monitoring)
	if err != nil {
		return nil, "", err
	}
	var one struct {
		Connect []string `json:"connect_urls"`
	}
	if err := get(ctx, monitoring+"/varz", &one); err != nil {
		return nil, "", err
	}
	for _, at := range one.Connect {
		host, _, err := net.SplitHostPort(at)
		if err != nil {
			return nil, "", err
		}
		node := base.Scheme + "://" + net.JoinHostPort(host, base.Port())
		var is struct {
			Name string `json:"server_name"`
		}
		if err := get(ctx, node+"/varz", &is); err != nil {
			return nil, "", err
		}
		accounts, _, err := figures(ctx, node, in)
		if err != nil {
			return nil, "", err
		}
		if _, c, found := find(accounts, in, of, called); found && c.Cluster.Leader == is.Name {
			return accounts, is.Name, nil
		}
	}
	return nil, "", fmt.Errorf("leader node not found for consumer %s", called)
}

func get(ctx context.Context, at string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", at, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// Replicas is how many there come to be: the formula's value over the target, rounded up, within what is allowed.
func Replicas(formula string, figures map[string]float64, target float64, least, most int) (int, error) {
	program, err := expr.Compile(formula, expr.Env(figures), expr.AsFloat64())
	if err != nil {
		return 0, fmt.Errorf("the formula: %w", err)
	}
	v, err := expr.Run(program, figures)
	if err != nil {
		return 0, fmt.Errorf("the formula: %w", err)
	}
	n, ok := v.(float64)
	if !ok {
		return 0, fmt.Errorf("the formula makes %v", v)
	}
	return min(max(int(math.Ceil(n/target)), least), most), nil
}
