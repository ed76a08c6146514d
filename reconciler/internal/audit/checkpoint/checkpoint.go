// Package checkpoint is the signed word on how far the log is sealed, in the format of C2SP's tlog-checkpoint
// (https://c2sp.org/tlog-checkpoint): a signed note (golang.org/x/mod/sumdb/note) of
//
//	audit.example.com/20261125T134502.123456789Z      origin: the key's name, the epoch
//	4096                                              size: so many leaves
//	5ZFnD2…=                                          root of the Merkle tree over them (RFC 6962), base64
//	serial 17                                         the how-manieth checkpoint of the epoch, from 1
//	previous 20261125T134502.123456789Z 2048 nMk…=    epoch, size and root of the one before; "- 0 47DE…" if there is none
//
// It holds no time, and Ed25519 signs deterministically: whoever has the leaves and the key writes the same bytes.
package checkpoint

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/twinreel/twinreel/reconciler/internal/audit/epoch"
)

// Head is how far a log was at a checkpoint.
type Head struct {
	Epoch epoch.ID // "" for no log at all
	Size  int64    // leaves
	Root  tlog.Hash
}

// None is the head before the first checkpoint of all.
func None() Head { return Head{Root: EmptyRoot()} }

// EmptyRoot is the root of a tree without leaves.
func EmptyRoot() tlog.Hash { return sha256.Sum256(nil) }

// String returns the head as it stands in a checkpoint: epoch, size, root.
func (h Head) String() string {
	name := string(h.Epoch)
	if name == "" {
		name = "-"
	}
	return fmt.Sprintf("%s %d %s", name, h.Size, h.Root)
}

// ParseHead is the inverse of Head.String.
func ParseHead(s string) (Head, error) {
	parts := strings.Split(s, " ")
	if len(parts) != 3 {
		return Head{}, fmt.Errorf("%.120q: want epoch, size and root", s)
	}
	var h Head
	var err error
	if parts[0] != "-" {
		if h.Epoch, err = epoch.Parse(parts[0]); err != nil {
			return Head{}, err
		}
	}
	if h.Size, err = parseCount(parts[1]); err != nil {
		return Head{}, err
	}
	if h.Root, err = tlog.ParseHash(parts[2]); err != nil {
		return Head{}, fmt.Errorf("root %.60q: want base64 of 32 bytes", parts[2])
	}
	return h, nil
}

// Checkpoint is one checkpoint.
type Checkpoint struct {
	Name string // of the key that signs
	Head
	Serial   int64 // from 1
	Previous Head
}

// Text returns what is signed.
func (c Checkpoint) Text() string {
	return fmt.Sprintf("%s/%s\n%d\n%s\nserial %d\nprevious %s\n", c.Name, c.Epoch, c.Size, c.Root, c.Serial, c.Previous)
}

// Says reports whether the two say the same, whoever signed them.
func (c Checkpoint) Says(other Checkpoint) bool {
	c.Name, other.Name = "", ""
	return c == other
}

// ParseText is the inverse of Text. It takes nothing else.
func ParseText(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 6 || lines[5] != "" {
		return Checkpoint{}, fmt.Errorf("a checkpoint has five lines, this has %d", len(lines)-1)
	}
	var c Checkpoint
	at := strings.LastIndexByte(lines[0], '/')
	if at <= 0 {
		return Checkpoint{}, fmt.Errorf("origin %.120q: want a name, a slash and an epoch", lines[0])
	}
	c.Name = lines[0][:at]
	var err error
	if c.Epoch, err = epoch.Parse(lines[0][at+1:]); err != nil {
		return Checkpoint{}, err
	}
	if c.Size, err = parseCount(lines[1]); err != nil {
		return Checkpoint{}, err
	}
	if c.Root, err = tlog.ParseHash(lines[2]); err != nil {
		return Checkpoint{}, fmt.Errorf("root %.60q: want base64 of 32 bytes", lines[2])
	}
	serial, found := strings.CutPrefix(lines[3], "serial ")
	if c.Serial, err = parseCount(serial); err != nil || !found {
		return Checkpoint{}, fmt.Errorf("%.60q: want serial and a number", lines[3])
	}
	previous, found := strings.CutPrefix(lines[4], "previous ")
	if c.Previous, err = ParseHead(previous); err != nil || !found {
		return Checkpoint{}, fmt.Errorf("%.120q: want previous, epoch, size and root", lines[4])
	}
	if c.Text() != text {
		return Checkpoint{}, fmt.Errorf("it is not written as checkpoints are")
	}
	return c, nil
}

func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%.40q: want a number", s)
	}
	return n, nil
}

// Key returns where the checkpoint of that serial number is kept. Numbers without holes let the last one be found by a few
// looks instead of a long listing.
func Key(e epoch.ID, serial int64) string { return e.Key(fmt.Sprintf("checkpoint/%020d", serial)) }
