// Command miniredis serves an in-memory stand-in for Redis, for machines where no real one can be had. Its data ends
// with it.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// step is how often the server's clock, which stands still by itself, is moved on.
const step = 100 * time.Millisecond

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: miniredis HOST:PORT")
		os.Exit(2)
	}
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "listen on %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	tick := time.NewTicker(step)
	for {
		select {
		case <-tick.C:
			server.FastForward(step)
		case <-ended:
			server.Close()
			return
		}
	}
}
