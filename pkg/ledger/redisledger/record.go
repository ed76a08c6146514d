package redisledger

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

// copyArgs are the arguments of finish and finished.
func (l *Ledger) copyArgs(token string, t tier.Tier, c ledger.Copy) []any {
	c.Stored.Timestamp = c.Stored.Timestamp.UTC()
	side, _ := json.Marshal(c.Stored) // strings, and a time of this age: it cannot fail
	return []any{token, l.ttl, t.String(), string(side), c.RecordingID, instant(c.ReceivedAt), c.SHA256, c.Size}
}

// decode makes a record of HGETALL's answer to a script: fields and values by turns.
func decode(id string, flat []string) (ledger.Record, error) {
	fields := make(map[string]string, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		fields[flat[i]] = flat[i+1]
	}
	return assemble(id, fields)
}

// assemble makes a record of the hash's fields. Whatever is not there yet is empty.
func assemble(id string, fields map[string]string) (ledger.Record, error) {
	r := ledger.Record{
		RecordingID: fields["recordingId"], IdempotencyKey: id, SHA256: fields["sha256"],
		Retries: ledger.Retries{Primary: number(fields["retries.primary"]), Backup: number(fields["retries.backup"])},
	}
	if r.RecordingID == "" {
		r.RecordingID = id[strings.LastIndexByte(id, '/')+1:]
	}
	r.Size, _ = strconv.ParseInt(fields["size"], 10, 64)
	var err error
	if r.ReceivedAt, err = when(fields["receivedAt"]); err != nil {
		return ledger.Record{}, unanswered("read the record of "+id, err)
	}
	for _, t := range tier.All() {
		if reason := fields["letter."+t.String()]; reason != "" {
			if r.Letters == nil {
				r.Letters = map[tier.Tier]string{}
			}
			r.Letters[t] = reason
		}
		side := fields[t.String()]
		if side == "" {
			continue
		}
		var s ledger.Stored
		if err := json.Unmarshal([]byte(side), &s); err != nil {
			return ledger.Record{}, unanswered("read the record of "+id, fmt.Errorf("its %s side: %w", t, err))
		}
		r.SetSide(t, &s)
	}
	r.Settle()
	return r, nil
}

// attempts makes sense of the answer to fail and attempts.
func attempts(op string, got []string) (ledger.Attempts, error) {
	if len(got) != 5 {
		return ledger.Attempts{}, unanswered(op, errShape)
	}
	first, err := when(got[3])
	if err != nil {
		return ledger.Attempts{}, unanswered(op, err)
	}
	previous, err := when(got[4])
	if err != nil {
		return ledger.Attempts{}, unanswered(op, err)
	}
	return ledger.Attempts{Failed: number(got[0]), Counted: number(got[1]), OfKind: number(got[2]), FirstOf: first, Previous: previous}, nil
}

// texts are the strings of a script's answer.
func texts(list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = fmt.Sprint(v)
	}
	return out
}

// number reads a counter, 0 where there is none.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// instant writes a time, "" for none.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// when reads what instant wrote.
func when(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, s)
}
