package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/twinreel/twinreel/deploy/local/internal/feed"
	"github.com/twinreel/twinreel/deploy/local/internal/floor"
	"github.com/twinreel/twinreel/deploy/local/internal/sink"
)

// The parts, by the names that `local bench-part` takes.
const (
	partFeed  = "feed"
	partS3    = "sink-s3"
	partAzure = "sink-azure"
	partFloor = "floor"
	partFar   = "far"
	partDoor  = "door"
)

// counted is a handler that counts its requests.
type counted interface {
	http.Handler
	Counts() map[string]int64
}

// Part runs one of the benchmark's own processes, until in ends.
func Part(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	input, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	switch name {
	case partFeed:
		return serve(lines, out, feed.New())
	case partS3:
		return serve(lines, out, sink.NewS3())
	case partAzure:
		return serve(lines, out, sink.NewAzure())
	case partFar:
		return far(input, lines, out)
	case partDoor:
		return door(ctx, input, lines, out)
	case partFloor:
		return runFloor(ctx, input, lines, out)
	}
	return fmt.Errorf("no part of the benchmark is called %q", name)
}

// serve answers on a free loopback port, says where, and ends with its input.
func serve(in io.Reader, out io.Writer, h counted) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("/_counts", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(h.Counts()) })
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }()
	fmt.Fprintf(out, "http://%s\n", l.Addr())
	_, _ = io.Copy(io.Discard, in)
	return server.Close()
}

// runFloor says when it is ready, does its job once it is told to go, and says when it is done.
func runFloor(ctx context.Context, input []byte, in *bufio.Reader, out io.Writer) error {
	var job floor.Job
	if err := json.Unmarshal(input, &job); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	fmt.Fprintln(out, "ready")
	if line, err := in.ReadString('\n'); err != nil || line != "go\n" {
		return errors.New("it was never told to go")
	}
	if err := floor.Run(ctx, job); err != nil {
		return err
	}
	fmt.Fprintln(out, "done")
	_, _ = io.Copy(io.Discard, in)
	return nil
}

// door takes webhooks on a free loopback port, says where, and ends with its input.
func door(ctx context.Context, input []byte, in io.Reader, out io.Writer) error {
	var d floor.Door
	if err := json.Unmarshal(input, &d); err != nil {
		return fmt.Errorf("read the door: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fmt.Fprintf(out, "http://%s\n", l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	if err := d.Listen(ctx, l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
