package runbooks_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/twinreel/twinreel/deploy/check/internal/repo"
	"github.com/twinreel/twinreel/deploy/check/internal/runbooks"
	"github.com/twinreel/twinreel/deploy/check/internal/tools"
)

// folder holds the operator's environment; TestMain makes it and removes it.
var folder string

// fleet is started by the first test that needs it, and ended by TestMain.
var fleet = sync.OnceValues(func() (*runbooks.Fleet, error) {
	started = true
	if err := tools.Commands(context.Background(), "curl", "openssl", "python3"); err != nil {
		return nil, err
	}
	return runbooks.Start(context.Background(), folder)
})

var started bool

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "twinreel-runbooks-"); err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for the operator's environment:", err)
		os.Exit(1)
	}
	code := m.Run()
	if started {
		if f, err := fleet(); err == nil {
			if err := f.Close(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
	}
	_ = os.RemoveAll(folder) // below the folder for temporary files
	os.Exit(code)
}

func read(t *testing.T) (books []runbooks.Runbook, index string) {
	t.Helper()
	books, index, err := runbooks.ReadAll(repo.Path(t, "deploy", "runbooks"))
	if err != nil {
		t.Fatal(err)
	}
	return books, index
}

func operator(t *testing.T) *runbooks.Fleet {
	t.Helper()
	f, err := fleet()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTheIndexLeadsToEachPageAndSaysWhatTheirNamesMean(t *testing.T) {
	books, index := read(t)
	if err := runbooks.CheckIndex(index, books); err != nil {
		t.Error(err)
	}
}

// given a fleet that has met what runbooks are about, when every command of every page is run as it stands, then each ends as
// its page says.
func TestEveryCommandDoesWhatItsPageSays(t *testing.T) {
	books, _ := read(t)
	books, err := runbooks.Ordered(books)
	if err != nil {
		t.Fatal(err)
	}
	f := operator(t)
	n := 0
	for _, b := range books {
		t.Run(strings.TrimSuffix(b.Name, ".md"), func(t *testing.T) {
			dir := t.TempDir()
			for _, c := range b.Commands {
				n++
				if err := f.Run(t.Context(), dir, c); err != nil {
					t.Errorf("%s:%d: %v", b.Name, c.Line, err)
				}
			}
		})
	}
	t.Logf("%d commands of %d pages", n, len(books))
}

func TestEveryCommandThatASentenceNamesExists(t *testing.T) {
	books, _ := read(t)
	f := operator(t)
	n := 0
	for _, b := range books {
		for _, c := range b.Named {
			n++
			if err := f.Knows(t.Context(), c); err != nil {
				t.Errorf("%s:%d: %v", b.Name, c.Line, err)
			}
		}
	}
	if n == 0 {
		t.Error("no sentence names a command: are they still found?")
	}
	t.Logf("%d commands", n)
}

// given a command that fails in its own way, when a fleet is started for it, then the fleet's end is the command's.
func TestAFleetEndsAsItsCommandDoes(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), repo.Path(t, "bin", "local"), "with-fleet", "--", "sh", "-c", "exit 7")
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != 7 {
		t.Errorf("it ended with %v, want exit code 7\n%s", err, out)
	}
}
