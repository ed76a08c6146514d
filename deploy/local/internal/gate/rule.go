package gate

import (
	"slices"
	"strings"
	"time"
)

// Rule says which requests do not simply pass, and what is done to them. The first rule that takes a request decides.
type Rule struct {
	Kinds []Kind // any, if empty
	Key   string // only requests whose path contains it
	After int    // lets so many pass first
	Times int    // takes so many, then no more; any number, if 0

	// One of these:
	Answer   *Answer // given in the server's place; the server never sees the request
	Hold     bool    // it is never answered; the connection stays open until the gate's rules change
	Break    bool    // the connection breaks before the server has seen anything of it
	Lose     bool    // the server does it, and its answer is lost
	Truncate bool    // the answer's body ends in its middle
	Before   func()  // runs when the request has come; the server never sees it
	First    func()  // runs before the server sees it; then it passes
	Done     func()  // runs when the server has done it; nobody sees the answer
}

// Answer is given in the server's place.
type Answer struct {
	Status     int
	Code       string // as S3 and Azure name it
	RetryAfter time.Duration
}

// Counted is a rule and what it has seen.
type counted struct {
	Rule
	seen, taken int
}

// takes tells whether the rule decides about a request, and counts it.
func (c *counted) takes(kind Kind, path string) bool {
	if len(c.Kinds) > 0 && !slices.Contains(c.Kinds, kind) || !strings.Contains(path, c.Key) {
		return false
	}
	c.seen++
	if c.seen <= c.After || (c.Times > 0 && c.taken >= c.Times) {
		return false
	}
	c.taken++
	return true
}
