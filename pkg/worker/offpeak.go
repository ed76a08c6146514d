package worker

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // an image may have no time zones
)

// offPeak is a time of day, every day, in a time zone. It may go over midnight. The zero value is never.
type offPeak struct {
	from, to int // minutes since midnight
	zone     *time.Location
}

// parseOffPeak reads "22:00-06:00 Europe/Berlin"; "" is never.
func parseOffPeak(s string) (offPeak, error) {
	if s == "" {
		return offPeak{}, nil
	}
	span, name, _ := strings.Cut(strings.TrimSpace(s), " ")
	first, last, _ := strings.Cut(span, "-")
	from, err1 := time.Parse("15:04", first)
	to, err2 := time.Parse("15:04", last)
	if err1 != nil || err2 != nil || name == "" {
		return offPeak{}, errors.New("want a time of day and its zone, such as 22:00-06:00 Europe/Berlin")
	}
	if from.Equal(to) {
		return offPeak{}, errors.New("want it to end at another time than it begins")
	}
	zone, err := time.LoadLocation(strings.TrimSpace(name))
	if err != nil {
		return offPeak{}, fmt.Errorf("want a time zone of the IANA database, such as Europe/Berlin, got %q", strings.TrimSpace(name))
	}
	return offPeak{minutes(from), minutes(to), zone}, nil
}

// contains reports whether t lies in it: its beginning does, its end does not.
func (o offPeak) contains(t time.Time) bool {
	if o.zone == nil {
		return false
	}
	m := minutes(t.In(o.zone))
	if o.from < o.to {
		return o.from <= m && m < o.to
	}
	return m >= o.from || m < o.to
}

func minutes(t time.Time) int { return t.Hour()*60 + t.Minute() }
