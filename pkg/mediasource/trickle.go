package mediasource

import (
	"errors"
	"fmt"
	"time"
)

// What an answer must bring. Whoever brings a byte now and then does not stall, but would hold memory and a slot, which
// others wait for, for years.
const (
	minRate  = 16 << 10    // bytes a second: twice what a telephone line has
	patience = time.Minute // of waiting, over which that is judged
)

// errTrickles is why a request was given up that brought too little for too long.
var errTrickles = errors.New("too slow: " + fmt.Sprintf("it brought less than %d KiB a second for %s", minRate>>10, patience))

// trickle notices an answer that moves, but hardly.
type trickle struct {
	waited time.Duration // for bytes, since counting began
	came   int64
}

// slow notes that n bytes came after a wait, and reports whether too few did within the last period of waiting.
func (t *trickle) slow(n int, wait, period time.Duration) bool {
	t.waited, t.came = t.waited+wait, t.came+int64(n)
	if t.waited < period {
		return false
	}
	few := float64(t.came) < minRate*t.waited.Seconds()
	*t = trickle{}
	return few
}
