package tier

import "time"

// State is how a worker sees its tier's store from where it stands.
type State string

// The states of a view. A pause is no worker's view, but an operator's word: see Pause.
const (
	Healthy  State = "healthy"
	Degraded State = "degraded" // it failed several times in a row: one recording at a time, until it has held
	Parked   State = "parked"   // it refuses our identity: nothing is pulled
)

// View is how one worker sees its tier's store, as it tells the others.
type View struct {
	State               State     `json:"state"`
	Weight              float64   `json:"weight"` // 1, 0.5 or 0: the share of new events that it would take live
	Reason              string    `json:"reason"` // "" when all is well; without URL or secret
	Since               time.Time `json:"since"`  // of the state, UTC
	ConsecutiveFailures int       `json:"consecutiveFailures"`
	LatencyMs           int64     `json:"latencyMs"` // of the latest probe write
}

// Pause is an operator's word that a tier takes nothing for now.
type Pause struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"` // UTC
	By     string    `json:"by"`
}

// Standing is all that is known of one tier: what its live workers say, and whether it is paused.
type Standing struct {
	Views map[string]View // by instance
	Pause *Pause          // nil: not paused
}

// Weight is the share of new events that the tier should take live, 0 to 1: the mean of what its live workers say, of
// whom a degraded or parked one counts 0. Where nobody says anything it is 1: then the stream holds what is routed there
// until somebody comes. A paused tier's is 0.
func (s Standing) Weight() float64 {
	if s.Pause != nil {
		return 0
	}
	if len(s.Views) == 0 {
		return 1
	}
	sum := 0.0
	for _, v := range s.Views {
		if v.State == Healthy {
			sum += min(max(v.Weight, 0), 1)
		}
	}
	return sum / float64(len(s.Views))
}
