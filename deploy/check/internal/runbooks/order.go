package runbooks

import (
	"fmt"
	"slices"
	"strings"
)

// last are the pages whose commands take away what other pages look at: the open dead letter, then the recording.
var last = []string{"replay-dead-letters.md", "erase-a-recording.md"}

// Ordered puts the pages into the order in which each finds what it is about: first the alerts', which only look, then what
// changes something, at the end what takes something away. A page that is to be last, and is not there, is an error.
func Ordered(books []Runbook) ([]Runbook, error) {
	for _, name := range last {
		if !slices.ContainsFunc(books, func(b Runbook) bool { return b.Name == name }) {
			return nil, fmt.Errorf("no %s, which was to be run last", name)
		}
	}
	rank := func(b Runbook) int {
		if strings.HasPrefix(b.Name, "twinreel-") {
			return -1
		}
		return slices.Index(last, b.Name) + 1
	}
	out := slices.Clone(books)
	slices.SortStableFunc(out, func(a, b Runbook) int { return rank(a) - rank(b) })
	return out, nil
}
