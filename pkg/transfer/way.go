package transfer

import (
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

// way chooses. What fits a buffer goes whole, since that is one request and what breaks need not be fetched again. What
// the source gives by ranges is worth many connections, and too dear to be read twice. In between one streamed request is
// cheapest, where the store takes one; but only once: a store that will not wait as long as this source, or this line,
// keeps it waiting would break each.
func (c *Copier) way(media *mediasource.Media, again bool) way {
	_, streams := c.Store.(objstore.Streamer)
	switch {
	case media.Size >= 0 && media.Size <= int64(c.Buffers.Part()):
		return whole
	case streams && !again && media.Size >= 0 && media.Size <= c.StreamMax && !media.Ranged():
		return streamed
	}
	return parts // also where the size is not known: then the first part may turn out to be all
}
