package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/twinreel/twinreel/deploy/local/internal/disk"
)

// mountable fails the test where root cannot mount, and lets it pass, saying so, where this is not root: nothing can be
// shown then.
func mountable(t *testing.T, err error) bool {
	t.Helper()
	if errors.Is(err, disk.ErrNeedsRoot) {
		t.Log("not root: nothing can be mounted, and nothing is shown")
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

func TestASmallDiskTakesNoMoreThanItHoldsUntilItHasRoomAgain(t *testing.T) {
	d, err := disk.NewSmall(filepath.Join(t.TempDir(), "small"), 1)
	if !mountable(t, err) {
		return
	}
	defer d.Close()
	write := func() error { return os.WriteFile(filepath.Join(d.Dir, "data"), make([]byte, 100_000), 0o600) }
	if err := d.Fill(); err != nil {
		t.Fatal(err)
	}
	if err := write(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("writing to a full disk: %v, want no space left", err)
	}
	if err := d.Empty(); err != nil {
		t.Fatal(err)
	}
	if err := write(); err != nil {
		t.Errorf("writing to one that has room again: %v", err)
	}
}

func TestACutKeepsWhatWasSyncedAndLosesWhatWasNot(t *testing.T) {
	d, err := disk.NewPower(filepath.Join(t.TempDir(), "power"), 32)
	if !mountable(t, err) {
		return
	}
	defer d.Close()
	for _, name := range []string{"synced", "written"} {
		f, err := os.Create(filepath.Join(d.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("kept?"); err != nil {
			t.Fatal(err)
		}
		if name == "synced" {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
	}
	if err := errors.Join(d.Cut(), d.Restore()); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(d.Dir, "synced")); string(b) != "kept?" {
		t.Errorf("what was synced is %q, %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(d.Dir, "written")); string(b) == "kept?" {
		t.Error("what was never synced survived: no power was cut")
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
