package letters

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/twinreel/twinreel/pkg/event"
)

// Redrive returns the event in body as a redrive event: its type and data.reason change, and data.copyFrom, which is from
// or nothing; everything else stays as it was, also attributes and fields that this program does not know. A link that the
// event brings is never sent again: it lapses within the hour, and a redrive whose link has lapsed is acknowledged, which
// only somebody who plans anew makes good. Errors are event.Parse's.
func Redrive(body []byte, reason string, from *event.CopyFrom) ([]byte, error) {
	if _, err := event.Parse(body); err != nil {
		return nil, err
	}
	var whole, data map[string]json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, fmt.Errorf("%w: not JSON", event.ErrInvalid)
	}
	if err := json.Unmarshal(whole["data"], &data); err != nil {
		return nil, fmt.Errorf("%w: data is no object", event.ErrInvalid)
	}
	var err error
	set := func(m map[string]json.RawMessage, name string, value any) {
		b, merr := encode(value)
		if merr != nil && err == nil {
			err = fmt.Errorf("encode redrive: %w", merr)
		}
		m[name] = b
	}
	set(data, "reason", reason)
	delete(data, "copyFrom")
	if from != nil {
		set(data, "copyFrom", from)
	}
	set(whole, "type", event.TypeRedrive)
	set(whole, "data", data)
	if err != nil {
		return nil, err
	}
	return encode(whole)
}

// encode writes v without the escapes that would only make URLs longer.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
