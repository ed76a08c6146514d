// Package epoch names the parts of the sealed log. An epoch is the log of one AUDIT stream: a stream that is made anew
// begins a new one. All objects of an epoch lie below audit/<epoch>/.
package epoch

import (
	"fmt"
	"strings"
	"time"
)

// Root begins the key of every object of the log.
const Root = "audit/"

// markers is where each epoch has an object that only says that the epoch is there: listing all objects of a log takes
// long, and few stores can list folders alone.
const markers = Root + "epochs/"

// layout is a time whose texts sort as the times do, and that every store and file system takes for a name.
const layout = "20060102T150405.000000000Z"

// ID names an epoch: the time at which its stream was created, UTC, as 20261125T134502.123456789Z.
type ID string

// Of returns the epoch of a stream that was created at that time.
func Of(created time.Time) ID { return ID(created.UTC().Format(layout)) }

// Parse returns the epoch of that name.
func Parse(name string) (ID, error) {
	t, err := time.Parse(layout, name)
	if err != nil || string(Of(t)) != name {
		return "", fmt.Errorf("epoch %.60q: want the creation time of a stream, such as %s", name, layout)
	}
	return ID(name), nil
}

// Prefix begins the keys of all objects of the epoch but its marker.
func (e ID) Prefix() string { return Root + string(e) + "/" }

// Key returns the key of an object of the epoch.
func (e ID) Key(rest string) string { return e.Prefix() + rest }

// Marker returns the key of the object that says that the epoch is there.
func (e ID) Marker() string { return markers + string(e) }

// Markers begins the keys of all markers.
func Markers() string { return markers }

// OfMarker returns the epoch whose marker has the key.
func OfMarker(key string) (ID, error) { return Parse(strings.TrimPrefix(key, markers)) }

// Split returns the epoch and the rest of a key. found is false for a key that belongs to no epoch.
func Split(key string) (e ID, rest string, found bool) {
	name, rest, cut := strings.Cut(strings.TrimPrefix(key, Root), "/")
	e, err := Parse(name)
	return e, rest, cut && err == nil && strings.HasPrefix(key, Root)
}

// Number writes n as a path of which no folder has more than a thousand entries, as tlog.Tile.Path does: x001/x234/067.
func Number(n int64) string {
	const base = 1000
	s := fmt.Sprintf("%03d", n%base)
	for n >= base {
		n /= base
		s = fmt.Sprintf("x%03d/%s", n%base, s)
	}
	return s
}
