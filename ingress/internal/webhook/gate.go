package webhook

import "sync"

// Bounds on what webhooks may hold at once. Above them they are answered 503 at once, before memory grows: a platform
// that sends again later is better off than one that waits for an answer until it gives up.
const (
	// maxWaiting is how many webhooks may wait for the stream: a good stream takes some thousands a second, so that more
	// than these would not be through within the time-out of an acknowledgement.
	maxWaiting = 1024
	// maxHeld bounds the bytes of all bodies in memory. What is made of a body takes some times its size.
	maxHeld = 32 << 20
)

// gate counts what webhooks hold.
type gate struct {
	maxWaiting int
	maxHeld    int64

	mu      sync.Mutex
	waiting int
	held    int64
}

// hold takes n more bytes for a body, if there is room.
func (g *gate) hold(n int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held+n > g.maxHeld {
		return false
	}
	g.held += n
	return true
}

// drop gives bytes of a body back.
func (g *gate) drop(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held -= n
}

// enter lets a webhook wait for the stream, if not too many do. It is left by leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting == g.maxWaiting {
		return false
	}
	g.waiting++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
}

// now returns how many webhooks wait, and the bytes of bodies.
func (g *gate) now() (waiting int, held int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting, g.held
}
