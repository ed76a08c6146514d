// Package wire is a line between a program and a server that can be cut, slowed, broken off and left hanging. It is
// toxiproxy's proxy, run in this process.
package wire

import (
	"context"
	"fmt"
	"strings"
	"sync"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Wire is one line. Its methods may be called from several goroutines.
type Wire struct {
	// Addr is where the program connects to, host:port.
	Addr string

	mu    sync.Mutex
	proxy *toxiproxy.Proxy
	up    bool
}

// New lays a line to the server at upstream, host:port.
func New(name, upstream string) (*Wire, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics log to no server's logger but to the process's
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, name, "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("lay a line to %s: %w", upstream, err)
	}
	return &Wire{Addr: p.Listen, proxy: p, up: true}, nil
}

// Cut closes all connections and refuses new ones, as a server that has died does.
func (w *Wire) Cut() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.up {
		w.proxy.Stop()
	}
	w.up = false
	return nil
}

// Mend undoes everything that was done to the line.
func (w *Wire) Mend() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proxy.Toxics.ResetToxics(context.Background())
	if w.up {
		return nil
	}
	if err := w.proxy.Start(); err != nil {
		return fmt.Errorf("mend the line to %s: %w", w.proxy.Upstream, err)
	}
	w.up = true
	return nil
}

// Slow delays everything by so many milliseconds each way, and lets each connection bring no more than so many KiB a
// second; 0: as many as go.
func (w *Wire) Slow(millis int, kibps int) error {
	for _, stream := range []string{"upstream", "downstream"} {
		if err := w.toxic("latency", stream, fmt.Sprintf(`{"latency":%d}`, millis)); err != nil {
			return err
		}
		if kibps == 0 {
			continue
		}
		if err := w.toxic("bandwidth", stream, fmt.Sprintf(`{"rate":%d}`, kibps)); err != nil {
			return err
		}
	}
	return nil
}

// BreakOff ends each connection once the program has sent so many bytes on it: in the middle of a body.
func (w *Wire) BreakOff(bytes int) error {
	return w.toxic("limit_data", "upstream", fmt.Sprintf(`{"bytes":%d}`, bytes))
}

// Reset resets each connection (TCP RST) so many milliseconds after the program has sent something on it.
func (w *Wire) Reset(millis int) error {
	return w.toxic("reset_peer", "upstream", fmt.Sprintf(`{"timeout":%d}`, millis))
}

// Hang leaves every connection open, old and new, and lets nothing through in either direction: half-open, as when the
// other machine has lost its power or a firewall has forgotten the connection. Mend closes them.
func (w *Wire) Hang() error {
	for _, stream := range []string{"upstream", "downstream"} {
		if err := w.toxic("timeout", stream, `{"timeout":0}`); err != nil {
			return err
		}
	}
	return nil
}

// Deafen lets nothing through to the program, while all that it sends arrives: answers are lost.
func (w *Wire) Deafen() error { return w.toxic("timeout", "downstream", `{"timeout":0}`) }

func (w *Wire) toxic(kind, stream, attributes string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"type":%q,"stream":%q,"attributes":%s}`, kind, stream, attributes)))
	if err != nil {
		return fmt.Errorf("make the line to %s misbehave: %w", w.proxy.Upstream, err)
	}
	return nil
}

// Close takes the line away.
func (w *Wire) Close() error { return w.Cut() }
