// Package doctor looks at everything that Twinreel rests on before it is relied on: streams, Redis, both stores, the
// identities that reach them, the platform. It changes nothing anywhere: what it asks of a store in order to learn whether
// it would be permitted can never be carried out.
//
// What cannot be told – the server does not know the question, or nobody gave the credentials to ask it with – is Unknown,
// and never Pass.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twinreel/twinreel/pkg/fault"
	"github.com/twinreel/twinreel/pkg/objstore"
)

// Verdict is what a check came to.
type Verdict string

// The verdicts.
const (
	Pass    Verdict = "pass"
	Warn    Verdict = "warn"    // it works, and is weaker than it should be
	Fail    Verdict = "fail"    // a recording can be lost, or something will not work
	Unknown Verdict = "unknown" // it could not be told; look yourself
)

// Check is one thing that was looked at.
type Check struct {
	Name    string  `json:"name"` // part.thing
	What    string  `json:"what"` // what should be
	Why     string  `json:"why"`  // why that matters
	Found   string  `json:"found"`
	Verdict Verdict `json:"verdict"`
	Mend    string  `json:"mend"` // what to do, "" where nothing needs to be done
}

// Failed reports whether one of the checks failed.
func Failed(all []Check) bool {
	return slices.ContainsFunc(all, func(c Check) bool { return c.Verdict == Fail })
}

// Count tells how many checks came to which verdict.
func Count(all []Check) map[Verdict]int {
	out := map[Verdict]int{}
	for _, c := range all {
		out[c.Verdict]++
	}
	return out
}

// question is a check before it is answered.
type question struct{ Name, What, Why string }

func (q question) answer(v Verdict, mend, found string, args ...any) Check {
	text := found
	if len(args) > 0 {
		text = fmt.Sprintf(found, args...)
	}
	return Check{q.Name, q.What, q.Why, fault.Clean(text), v, mend}
}

func (q question) pass(found string, args ...any) Check { return q.answer(Pass, "", found, args...) }

func (q question) warn(mend, found string, args ...any) Check {
	return q.answer(Warn, mend, found, args...)
}

func (q question) fail(mend, found string, args ...any) Check {
	return q.answer(Fail, mend, found, args...)
}

func (q question) unknown(mend, found string, args ...any) Check {
	return q.answer(Unknown, mend, found, args...)
}

// untold is the answer where asking failed.
func (q question) untold(mend string, err error) Check {
	if errors.Is(err, objstore.ErrCannotTell) {
		_, reason, _ := strings.Cut(fault.Text(err), objstore.ErrCannotTell.Error()+": ")
		return q.unknown(mend, "%s", reason)
	}
	return q.unknown(mend, "%s", fault.Text(err))
}

// Part is one part of the world that is looked at by itself.
type Part interface {
	// Examine returns the part's checks, in order.
	Examine(ctx context.Context) []Check
}

// partTimeout bounds the looking at one part: what does not answer must not hold up the rest.
const partTimeout = 45 * time.Second

// Examine looks at all parts at the same time and returns their checks in the parts' order.
func Examine(ctx context.Context, parts ...Part) []Check {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	found := make([][]Check, len(parts))
	var all sync.WaitGroup
	for n, p := range parts {
		all.Go(func() { found[n] = p.Examine(ctx) })
	}
	all.Wait()
	return slices.Concat(found...)
}

// Said is a part of which everything is known without looking.
type Said []Check

// Examine implements Part.
func (s Said) Examine(context.Context) []Check { return s }

// Set is the check of settings that are there.
func Set(part string) Said { return Said{settingsOf(part).pass("all there, and well-formed")} }

func settingsOf(part string) question {
	return question{part + ".settings", "the settings of " + part + " are there and well-formed", "without them nothing of it can be looked at, nor work"}
}

// NotSet is the check of a part whose settings are missing or wrong.
func NotSet(part string, problems error) Said {
	return Said{settingsOf(part).fail("set these variables in the reconciler's environment; reconciler --settings explains each", "%s", strings.ReplaceAll(problems.Error(), "\n", "; "))}
}

// Away is the check of a part that does not answer.
func Away(part string, err error) Said {
	return Said{reachable(part).fail("see that it runs, that its address and credentials are right, and that the network lets this machine reach it", "%s; nothing else of it was looked at", fault.Text(err))}
}

func reachable(part string) question {
	return question{part + ".reachable", "it answers, and knows who asks", "nothing works without it"}
}
