package webhook

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"regexp"
	"strings"
)

// traceForm is a traceparent of any version; version 00 ends here, later ones may go on after a dash.
// See https://www.w3.org/TR/trace-context/#traceparent-header.
var traceForm = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$`)

// traceparent returns the request's trace context, or a new one where it has none or an invalid one.
func traceparent(h http.Header) string {
	if v := h.Values("traceparent"); len(v) == 1 {
		if p, ok := validTrace(v[0]); ok {
			return p
		}
	}
	var id [24]byte
	_, _ = rand.Read(id[:]) // never fails
	return "00-" + hex.EncodeToString(id[:16]) + "-" + hex.EncodeToString(id[16:]) + "-00"
}

// validTrace returns s as a traceparent of version 00.
func validTrace(s string) (string, bool) {
	m := traceForm.FindStringSubmatch(s)
	switch {
	case m == nil, m[1] == "ff", m[1] == "00" && m[5] != "", strings.Trim(m[2], "0") == "", strings.Trim(m[3], "0") == "":
		return "", false
	}
	return strings.Join([]string{"00", m[2], m[3], m[4]}, "-"), true
}
