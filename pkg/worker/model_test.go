package worker

import (
	"fmt"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// The model test plays the whole of the way behind ingress: two workers of each tier, as they are in the program (pull
// loop, handler, copier, agreement, publisher, source over HTTP), over a JetStream, stores, a ledger and a platform in
// memory. Each call that leaves a worker is a step: it waits until it is let through, fails, loses its answer, takes
// effect only later, or is the last thing that its process does. Which of them, and in which order, and what befalls the
// rest of the world meanwhile, is drawn by rapid. Time is a synctest bubble's, so that leases lapse and links stay gone
// for minutes without anybody waiting.
//
// What must hold is in model_promises_test.go. That the test can see it broken is TestMutations.
//
// The long form: go test ./worker -run '^TestModel$' -rapid.checks=10000 -timeout 6h

// modelSteps is how many operations one run has; each lets up to 16 calls through.
const modelSteps = 200

func TestModel(t *testing.T) {
	runs := rapid.SliceOfN(anyOp(), modelSteps, modelSteps)
	rapid.Check(t, func(rt *rapid.T) {
		ops := runs.Draw(rt, "ops")
		broken := ""
		synctest.Test(t, func(t *testing.T) { broken = playModel(t, ops) })
		if broken != "" {
			rt.Fatal(broken)
		}
	})
}

// op is one operation. What a, b and c choose hangs on the kind.
type op struct {
	kind    opKind
	a, b, c int
}

// opKind is what an operation does.
type opKind int

// The kinds, the harmless first, to which rapid shrinks.
const (
	opRest       opKind = iota
	opRun               // let a call through, and up to 15 that follow it in the same hand
	opBreak             // the same, but the last one meets with an accident
	opDeliver           // messages to a worker that asked for some
	opWebhook           // a new one, a duplicate, or one that contradicts
	opWait              // time passes
	opStop              // a worker is told to stop, or dies where it stands
	opFreeze            // a worker freezes, or goes on
	opLedger            // Redis goes away, comes back, or has forgotten
	opSource            // the platform's media go, come, or change
	opStore             // a store is sick, throttles, denies or refuses, or is well again
	opStream            // AUDIT, RECORDINGS_DLQ or the digests' bucket take nothing, or do again
	opLate              // what was thought lost takes effect
	opReconciler        // an entry is judged, or purged
	opLose              // somebody deletes an object behind our back, or puts another there
	opRedrive           // an event is sent again to one tier
)

// opWeights is how often each kind is drawn.
func opWeights() []opKind {
	var out []opKind
	for _, w := range []struct {
		kind opKind
		n    int
	}{
		{opRest, 1},
		{opRun, 24},
		{opBreak, 10},
		{opDeliver, 16},
		{opWebhook, 7},
		{opWait, 12},
		{opStop, 3},
		{opFreeze, 2},
		{opLedger, 3},
		{opSource, 6},
		{opStore, 4},
		{opStream, 3},
		{opLate, 3},
		{opReconciler, 3},
		{opLose, 1},
		{opRedrive, 2},
	} {
		for range w.n {
			out = append(out, w.kind)
		}
	}
	return out
}

func anyOp() *rapid.Generator[op] {
	kind, small := rapid.SampledFrom(opWeights()), rapid.IntRange(0, 15)
	return rapid.Custom(func(t *rapid.T) op {
		return op{kind: kind.Draw(t, "kind"), a: small.Draw(t, "a"), b: small.Draw(t, "b"), c: small.Draw(t, "c")}
	})
}

// playModel plays the operations, then lets everything come to an end in a world that is well again. It returns the first
// promise that was broken, with what led to it; "" if none was.
func playModel(t *testing.T, ops []op) string {
	m := newModel(t)
	defer m.close()
	for i, o := range ops {
		m.begin(i)
		m.play(o)
		synctest.Wait()
		m.look()
		if m.broken != "" {
			return m.broken
		}
	}
	m.begin(len(ops))
	m.settle()
	if m.broken == "" {
		m.judge()
	}
	return m.broken
}

// begin begins the i-th operation.
func (m *model) begin(i int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = i
}

// breach notes the first promise that is broken, with the latest of what happened.
func (m *model) breach(promise, format string, args ...any) {
	if m.broken != "" {
		return
	}
	m.broken = fmt.Sprintf("broken promise %q: %s\n", promise, fmt.Sprintf(format, args...))
	for _, line := range m.history[max(0, len(m.history)-historyShown):] {
		m.broken += line + "\n"
	}
}

// historyShown is how many lines of what happened a failure shows.
const historyShown = 120

// note adds a line to what happened.
func (m *model) note(format string, args ...any) {
	m.history = append(m.history, fmt.Sprintf("%3d %s ", m.at, m.clock())+fmt.Sprintf(format, args...))
}
