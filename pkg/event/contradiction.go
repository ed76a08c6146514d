package event

import "github.com/twinreel/twinreel/pkg/digest"

// Contradiction says in what the event contradicts what was agreed on: "format" (by the object key), "size" or "sha256";
// "" if it does not.
func (e Event) Contradiction(agreed digest.Entry) string {
	m := e.Data.Media
	switch {
	case e.Data.ObjectKey != agreed.ObjectKey:
		return "format"
	case m.Size != nil && *m.Size != agreed.Size:
		return "size"
	case m.SHA256 != "" && m.SHA256 != agreed.SHA256:
		return "sha256"
	}
	return ""
}
