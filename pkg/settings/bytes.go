package settings

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size in bytes, written as a plain number or with one of the units KiB, MiB, GiB (8MiB).
type Bytes int64

// unit is a suffix of a size and what it stands for.
type unit struct {
	name string
	size int64
}

// units are sorted from the largest.
func units() [3]unit {
	return [3]unit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}
}

// UnmarshalText reads a size. Only whole, non-negative numbers that fit into 63 bits are taken.
func (b *Bytes) UnmarshalText(text []byte) error {
	digits, size := strings.TrimSpace(string(text)), int64(1)
	for _, u := range units() {
		if rest, ok := strings.CutSuffix(digits, u.name); ok {
			digits, size = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil || strings.HasPrefix(digits, "+"):
		return errors.New("want a number of bytes, or of KiB, MiB, GiB")
	case n < 0 || n > math.MaxInt64/size:
		return errors.New("size is out of range")
	}
	*b = Bytes(n * size)
	return nil
}

// MarshalText writes the size as String does.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// String returns the size in the largest unit that divides it.
func (b Bytes) String() string {
	for _, u := range units() {
		if b != 0 && int64(b)%u.size == 0 {
			return fmt.Sprintf("%d%s", int64(b)/u.size, u.name)
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
