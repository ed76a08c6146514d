package webhook

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Bounds on connections. A sender has at most headerTimeout and bodyTimeout for a webhook; the bound on their number keeps
// the slow ones from taking, within that time, every file that the process may open.
const (
	maxConns  = 4096
	keptFiles = 256 // of what the process may open: for NATS, logs, certificates, health
)

// connLimit is how many connections may be open.
func connLimit() int {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return maxConns
	}
	return int(max(min(maxConns, int64(files.Cur)-keptFiles), keptFiles))
}

// conns are the open connections of senders, no more than limit.
type conns struct {
	limit int

	mu   sync.Mutex
	open map[net.Conn]*sender
}

// sender is who is at the other end of a connection.
type sender struct {
	state  http.ConnState
	since  time.Time   // when it got into that state
	proven atomic.Bool // its webhook has been read, its signature is good, and it waits for the stream
}

func newConns(limit int) *conns { return &conns{limit: limit, open: map[net.Conn]*sender{}} }

// senderKey is where a request's context keeps its *sender.
type senderKey struct{}

// context is the server's ConnContext, which it calls for a connection before anything else.
func (c *conns) context(ctx context.Context, conn net.Conn) context.Context {
	s := &sender{state: http.StateNew, since: time.Now()}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[conn] = s
	return context.WithValue(ctx, senderKey{}, s)
}

// proven notes that a request has come to its end and its signature is good.
func proven(ctx context.Context) {
	if s, ok := ctx.Value(senderKey{}).(*sender); ok {
		s.proven.Store(true)
	}
}

// changed is the server's ConnState. A connection beyond the limit costs another one its place.
func (c *conns) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	var victim net.Conn
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	case http.StateNew:
		if len(c.open) > c.limit {
			victim = c.victim(conn)
		}
	default:
		if s := c.open[conn]; s != nil {
			s.state, s.since = state, time.Now()
			s.proven.Store(false)
		}
	}
	c.mu.Unlock()
	if victim != nil {
		_ = victim.Close()
	}
}

// victim returns whose place a newcomer takes: of those that are still sending the one that has been at it for longest,
// which a good sender is only for a moment; else of those that are idle likewise. Where all others wait for the stream,
// it is the newcomer's own. The lock is held.
func (c *conns) victim(newcomer net.Conn) net.Conn {
	var idle, sending net.Conn
	older := func(conn, than net.Conn) bool { return than == nil || c.open[conn].since.Before(c.open[than].since) }
	for conn, s := range c.open {
		switch {
		case conn == newcomer || s.proven.Load():
		case s.state == http.StateIdle:
			if older(conn, idle) {
				idle = conn
			}
		case older(conn, sending):
			sending = conn
		}
	}
	for _, conn := range []net.Conn{sending, idle, newcomer} {
		if conn != nil {
			delete(c.open, conn)
			return conn
		}
	}
	return nil
}

// count is how many connections are open.
func (c *conns) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}
