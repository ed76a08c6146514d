package cli

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/twinreel/twinreel/pkg/queue"
	"github.com/twinreel/twinreel/pkg/testenv"
	"github.com/twinreel/twinreel/pkg/tier"
)

// process runs the built program in this world, as somebody else's shell would.
func (b *bed) process(args ...string) (output string, code int) {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), filepath.Join(testenv.Need(b.t, testenv.Bin), "reconciler"), args...)
	for name, value := range b.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		b.t.Errorf("%v: %v", args, err)
		return "", -1
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// atOnce runs the program several times at the same time; each must end 0.
func (b *bed) atOnce(commands ...[]string) {
	b.t.Helper()
	var all sync.WaitGroup
	for _, args := range commands {
		all.Go(func() {
			if out, code := b.process(args...); code != 0 {
				b.t.Errorf("%v: exit code %d\n%s", args, code, out)
			}
		})
	}
	all.Wait()
}

// fill gives one letter for each of so many recordings.
func (b *bed) fill(n int) {
	for i := range n {
		b.giveEvent(tier.Primary, queue.SourceGone, uint64(i+1), recordingEvent("default", fmt.Sprint("rec-", i), 1))
	}
}

func TestTwoOperatorsWhoReplayTheSameLettersAtOnceSendEachOnce(t *testing.T) {
	const many = 100
	b := provisioned(t)
	b.fill(many)
	replay := []string{"dlq", "replay", "--yes", "--rate", "1000"}
	b.atOnce(replay, replay, replay)
	seen := map[string]int{}
	for _, e := range b.redriven(tier.Primary) {
		seen[e.Data.IdempotencyKey]++
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was sent %d times", id, n)
		}
	}
	if len(seen) != many || b.count(queue.DeadLetters) != 0 || len(b.stored(queue.Audit, "audit.replayed.*")) != many {
		t.Errorf("%d sent, %d letters left, %d audited; want %d, 0, %d", len(seen), b.count(queue.DeadLetters), len(b.stored(queue.Audit, "audit.replayed.*")), many, many)
	}
	if out, code := b.process(replay...); code != 0 || !bytes.Contains([]byte(out), []byte(noLetters)) || len(b.redriven(tier.Primary)) != many {
		t.Errorf("once more: exit code %d\n%s", code, out)
	}
}

func TestWhatOneReplaysAndAnotherDiscardsIsGoneAndInTheLog(t *testing.T) {
	const many = 60
	b := provisioned(t)
	b.fill(many)
	b.atOnce([]string{"dlq", "replay", "--yes", "--rate", "1000"}, []string{"dlq", "discard", "--reason", "x", "--yes", "--rate", "1000"},
		[]string{"dlq", "discard", "--reason", "y", "--yes", "--rate", "1000"})
	told := map[string]bool{}
	for _, kind := range []string{"replayed", "discarded"} {
		for _, a := range b.audited("audit." + kind + ".primary") {
			told[a.IdempotencyKey] = true
		}
	}
	if b.count(queue.DeadLetters) != 0 || len(told) != many {
		t.Errorf("%d letters are left, the log tells of %d of %d", b.count(queue.DeadLetters), len(told), many)
	}
}
