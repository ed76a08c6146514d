//go:build race

package inventory

// raceEnabled says that the race detector is on, under which no pace is measured.
const raceEnabled = true
