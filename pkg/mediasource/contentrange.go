package mediasource

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// span is the part of a file that a 206 brings: bytes first to last, both included, of total (-1 if it does not say).
type span struct{ first, last, total int64 }

func (s span) length() int64 { return s.last - s.first + 1 }

// String returns the span as a Content-Range header (RFC 9110, 14.4).
func (s span) String() string {
	if s.total < 0 {
		return fmt.Sprintf("bytes %d-%d/*", s.first, s.last)
	}
	return fmt.Sprintf("bytes %d-%d/%d", s.first, s.last, s.total)
}

var errContentRange = errors.New("its Content-Range cannot be read")

// parseContentRange reads a Content-Range header.
func parseContentRange(header string) (span, error) {
	unit, rest, _ := strings.Cut(header, " ")
	bounds, total, found := strings.Cut(rest, "/")
	first, last, dash := strings.Cut(bounds, "-")
	if !strings.EqualFold(unit, "bytes") || !found || !dash {
		return span{}, errContentRange
	}
	s := span{total: -1}
	var ok [3]bool
	s.first, ok[0] = digits(first)
	s.last, ok[1] = digits(last)
	if ok[2] = total == "*"; !ok[2] {
		s.total, ok[2] = digits(total)
	}
	if ok != [3]bool{true, true, true} || s.first > s.last || (s.total >= 0 && s.last >= s.total) {
		return span{}, errContentRange
	}
	return s, nil
}

// digits reads a number without a sign, below the largest by one, so that a length can be made of it.
func digits(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n < 1<<62 && strings.Trim(s, "0123456789") == ""
}

// strong returns an entity tag that may be pinned, "" for a weak one or none.
func strong(etag string) string {
	if len(etag) < 2 || etag[0] != '"' || etag[len(etag)-1] != '"' {
		return ""
	}
	return etag
}
