package worker

import (
	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/tier"
)

// A worker whose own way to the store is cut must not keep from the others what they could do at once: while another worker of
// the tier says on the board that it is well, what fails here for that reason is handed back without a wait. Three things keep
// that from going round and round. While this worker begins nothing (its breaker is open, or its tier is parked) it pulls
// nothing either, so that nothing comes back to it but what a pull request brings that was already on its way. Before that a
// message is handed back at once no more often than it takes to be degraded: a failure that follows the message wherever it
// goes soon waits as all others do. And where the store is sick for everybody, nobody says any more that it is well.

// elsewhere reports whether a message's n-th failure is the store's, as seen from here, and others may be spared it.
func (k *keeper) elsewhere(err error, n int) bool {
	if !k.others.Load() || !fault.Is(err, fault.Unavailable, fault.Store) || fault.RetryAfterOf(err) > 0 {
		return false // a store that asks for peace gets it from all
	}
	return n <= k.config.DegradedAfter || k.shut() != nil
}

// untouched reports whether what was not begun here, since nothing is, may be begun by others.
func (k *keeper) untouched() bool { return k.others.Load() && k.shut() != nil }

// othersWell reports whether any worker but that instance would take new events.
func othersWell(s tier.Standing, instance string) bool {
	if s.Pause != nil {
		return false
	}
	for name, v := range s.Views {
		if name != instance && v.State == tier.Healthy && v.Weight > 0 {
			return true
		}
	}
	return false
}

// listen takes in what the others say.
func (k *keeper) listen(all queue.Standings) { k.others.Store(othersWell(all[k.tier], k.instance)) }
