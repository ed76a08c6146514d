package transfer

import (
	"sync"
	"time"

	"github.com/twinreel/twinreel/pkg/mediasource"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// way is how a recording's bytes get to the store.
type way int

const (
	// whole: read to its end, then one request that knows everything beforehand.
	whole way = iota
	// streamed: one request while it is being read, whose end waits for the agreement. It takes little memory and the
	// fewest requests; but what breaks is read again from the start, and it is no faster than one connection.
	streamed
	// parts: an upload in parts, several at a time. What breaks is sent again alone, and long lines are filled.
	parts
)

// way chooses. What fits a buffer goes whole, since that is one request and what breaks need not be fetched again. Beyond
// that one streamed request is cheapest, where the store takes one and it will not last long: what is lost when it breaks
// is small then, and so is what several connections would gain. But only once: a store that will not wait as long as this
// source, or this line, keeps it waiting would break each.
func (c *Copier) way(media *mediasource.Media, again bool) way {
	switch {
	case media.Size >= 0 && media.Size <= int64(c.Buffers.Part()):
		return whole
	case !again && media.Size >= 0 && media.Size <= c.streamable():
		return streamed
	}
	return parts // also where the size is not known: then the first part may turn out to be all
}

// streamable is how many bytes a streamed request may have now.
func (c *Copier) streamable() int64 {
	if _, ok := c.Store.(objstore.Streamer); !ok || c.StreamMax == 0 {
		return 0
	}
	return min(max(c.StreamMax, c.pace.within(c.StreamFor)), objstore.MaxStream)
}

// pace is how fast single streams are, by those of late.
type pace struct {
	mu   sync.Mutex
	rate float64 // bytes a second; 0: none was seen yet
}

// firstPace is what is expected of the first stream, in bytes a second.
const firstPace = 64 << 20

// within is how many bytes a stream may be expected to bring in that time.
func (p *pace) within(d time.Duration) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(p.known() * d.Seconds())
}

// took notes that a stream brought n bytes in that time. The last few count most.
func (p *pace) took(n int64, d time.Duration) {
	if d <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = 0.75*p.known() + 0.25*float64(n)/d.Seconds()
}

func (p *pace) known() float64 {
	if p.rate == 0 {
		return firstPace
	}
	return p.rate
}
