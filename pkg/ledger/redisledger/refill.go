package redisledger

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/twinreel/twinreel/pkg/ledger"
	"github.com/twinreel/twinreel/pkg/tier"
)

// filledMark begins the names of a record's fields that say what Refill wrote into another: as long as that one still
// holds it, nobody else has written it since.
const filledMark = "filled."

// Refill writes what is known from elsewhere into the record of a recording after Redis has lost it: copies, open letters,
// and what there is of the recording as a whole. It never touches what a worker wrote, before or meanwhile; only what an
// earlier Refill wrote is replaced. With done, the claim of each tier that has a copy in known is set to done, unless there
// is a claim. written says that something was. Retries are not written.
func (l *Ledger) Refill(ctx context.Context, id string, known ledger.Record, done bool) (written bool, err error) {
	args := []any{l.ttl, flag(done && known.Primary != nil), flag(done && known.Backup != nil)}
	add := func(field, value string) {
		if value != "" {
			args = append(args, field, value)
		}
	}
	for _, t := range tier.All() {
		if s := known.Side(t); s != nil {
			side := *s
			side.Timestamp = side.Timestamp.UTC()
			b, _ := json.Marshal(side) // strings, and a time of this age: it cannot fail
			add(t.String(), string(b))
		}
		add("letter."+t.String(), known.Letters[t])
	}
	add("recordingId", known.RecordingID)
	add("receivedAt", instant(known.ReceivedAt))
	if known.SHA256 != "" {
		add("sha256", known.SHA256)
		add("size", strconv.FormatInt(known.Size, 10))
	}
	keys := []string{l.recordKey(id), l.key(id, "claim:"+tier.Primary.String()), l.key(id, "claim:"+tier.Backup.String())}
	n, err := l.run.refill.Run(ctx, l.client, keys, args...).Int()
	if err != nil {
		return false, unanswered("refill the record of "+id, err)
	}
	return n > 0, nil
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return ""
}

// refillScript: keys are record, claim of primary, claim of backup. ARGV: time to live in ms, "1" to set primary's claim,
// backup's; then fields and values by turns. Of the time of acceptance the first is kept, as the workers do.
const refillScript = `
local written = 0
for i = 4, #ARGV, 2 do
  local now, mark = redis.call('HGET', KEYS[1], ARGV[i]), '` + filledMark + `' .. ARGV[i]
  if not now or (ARGV[i] ~= 'receivedAt' and now ~= ARGV[i + 1] and now == redis.call('HGET', KEYS[1], mark)) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1], mark, ARGV[i + 1])
    written = written + 1
  end
end
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
for tier = 1, 2 do
  if ARGV[tier + 1] == '1' then redis.call('SET', KEYS[tier + 1], 'done', 'NX', 'PX', ARGV[1]) end
end
return written
`
