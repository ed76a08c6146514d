package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// distance is what lies between a program and a server far away.
type distance struct {
	Upstreams []string // host:port
	Millis    int      // latency each way
	KiBps     int64    // what one connection brings at most: a TCP window over the round trip; 0: no bound
}

// What lies between the workers and everything else in rows that are far away.
const (
	farMillis = 50      // each way
	farWindow = 4 * mib // what one connection has on its way at most: Linux's default for a sender
)

// across is the distance of far rows. The latency alone would not slow one connection down, since the proxy's own buffers
// are large; on a real path one brings a TCP window in each round trip.
func across(window int64) *distance {
	return &distance{Millis: farMillis, KiBps: window / kib * 1000 / (2 * farMillis)}
}

// far puts a distance before each server, says where (host:port, separated by blanks), and ends with its input.
func far(input []byte, in *bufio.Reader, out io.Writer) error {
	var d distance
	if err := json.Unmarshal(input, &d); err != nil {
		return fmt.Errorf("read the distance: %w", err)
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	var at []string
	var proxies []*toxiproxy.Proxy
	defer func() {
		for _, p := range proxies {
			p.Stop()
		}
	}()
	for i, upstream := range d.Upstreams {
		p := toxiproxy.NewProxy(server, fmt.Sprintf("far-%d", i), "127.0.0.1:0", upstream)
		if err := p.Start(); err != nil {
			return err
		}
		proxies = append(proxies, p)
		for _, stream := range []string{"upstream", "downstream"} {
			toxics := []string{fmt.Sprintf(`{"type":"latency","stream":%q,"attributes":{"latency":%d}}`, stream, d.Millis)}
			if d.KiBps > 0 {
				toxics = append(toxics, fmt.Sprintf(`{"type":"bandwidth","stream":%q,"attributes":{"rate":%d}}`, stream, d.KiBps))
			}
			for _, toxic := range toxics {
				if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
					return err
				}
			}
		}
		at = append(at, p.Listen)
	}
	fmt.Fprintln(out, strings.Join(at, " "))
	_, _ = io.Copy(io.Discard, in)
	return nil
}
