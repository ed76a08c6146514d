package profile

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/twinreel/twinreel/pkg/event"
)

// Participants says what of a recording's participants enters the stream and, from there, both archives.
type Participants string

// What may be kept of participants.
const (
	ParticipantsFull Participants = "full" // all that the platform sent
	ParticipantsIDs  Participants = "ids"  // id and role only: no names, nor unknown fields, which could be names
	ParticipantsNone Participants = "none" // nobody
)

// Keep returns what is kept of list.
func (p Participants) Keep(list []event.Participant) []event.Participant {
	out := []event.Participant{}
	if p == ParticipantsNone {
		return out
	}
	for _, one := range list {
		if p == ParticipantsIDs {
			one = only(one, "id", "role")
		}
		out = append(out, one)
	}
	return out
}

func only(p event.Participant, names ...string) event.Participant {
	out := event.Participant{}
	for _, name := range names {
		if v, ok := p[name]; ok {
			out[name] = v
		}
	}
	return out
}

// participants reads the array of participants. Numbers in unknown fields keep their digits.
func (o object) participants() ([]event.Participant, error) {
	v, err := o.raw("participants", true)
	if err != nil {
		return nil, err
	}
	var list []object
	if json.Unmarshal(v, &list) != nil {
		return nil, wrong("participants", "want an array of objects")
	}
	out := make([]event.Participant, 0, len(list))
	for i, one := range list {
		path := fmt.Sprintf("participants.%d", i)
		if one == nil {
			return nil, wrong(path, "want an object")
		}
		if err := checkCase(one, path, participantOwn[:]...); err != nil {
			return nil, err
		}
		for _, name := range participantOwn {
			if _, err := one.text(name, false); err != nil {
				return nil, wrong(path+"."+name, "want a string")
			}
		}
		p, err := one.participant()
		if err != nil {
			return nil, wrong(path, "want an object")
		}
		out = append(out, p)
	}
	return out, nil
}

func (o object) participant() (event.Participant, error) {
	p := make(event.Participant, len(o))
	for name, raw := range o {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			return nil, err
		}
		p[name] = v
	}
	return p, nil
}
