package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/twinreel/twinreel/deploy/local/internal/wire"
)

// distance is what lies between a program and a server far away.
type distance struct {
	Upstreams []string // host:port
	Millis    int      // latency each way
	KiBps     int      // what one connection brings at most: a TCP window over the round trip; 0: no bound
}

// What lies between the workers and everything else in rows that are far away.
const (
	farMillis = 50      // each way
	farWindow = 4 * mib // what one connection has on its way at most: Linux's default for a sender
)

// across is the distance of far rows. The latency alone would not slow one connection down, since the proxy's own buffers
// are large; on a real path one brings a TCP window in each round trip.
func across(window int) *distance {
	return &distance{Millis: farMillis, KiBps: window / kib * 1000 / (2 * farMillis)}
}

// far puts a distance before each server, says where (host:port, separated by blanks), and ends with its input.
func far(input []byte, in *bufio.Reader, out io.Writer) error {
	var d distance
	if err := json.Unmarshal(input, &d); err != nil {
		return fmt.Errorf("read the distance: %w", err)
	}
	var at []string // the lines end with this process
	for i, upstream := range d.Upstreams {
		w, err := wire.New(fmt.Sprintf("far-%d", i), upstream)
		if err != nil {
			return err
		}
		if err := w.Slow(d.Millis, d.KiBps); err != nil {
			return err
		}
		at = append(at, w.Addr)
	}
	fmt.Fprintln(out, strings.Join(at, " "))
	_, _ = io.Copy(io.Discard, in)
	return nil
}
