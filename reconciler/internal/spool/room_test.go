package spool

import (
	"strings"
	"testing"
)

func TestRoomIsAskedForBefore(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	if err := Room("", 1); err != nil {
		t.Errorf("for a byte: %v", err)
	}
	err := Room("", 1<<60)
	if err == nil || !strings.Contains(err.Error(), "needs 1073741824.0 GiB") || !strings.Contains(err.Error(), dir+" has ") || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("got %v", err)
	}
	if err := Room(dir+"/absent", 1); err == nil || !strings.Contains(err.Error(), dir+"/absent") {
		t.Errorf("without the folder: %v", err)
	}
}
