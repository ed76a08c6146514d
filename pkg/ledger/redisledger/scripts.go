package redisledger

import "github.com/redis/go-redis/v9"

// Parts of scripts. ours ends a script with 0 unless the claim KEYS[1] is the lease with the token ARGV[1].
const (
	ours = `
local mine = 'lease:' .. ARGV[1] .. ':'
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, #mine) ~= mine then return 0 end
`
	// put writes a copy into the record KEYS[3] and returns the record: ARGV[2] is the time to live in ms, then tier, the
	// copy's JSON, recording ID, time of acceptance, sha256 and size.
	put = `
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4], 'recordingId', ARGV[5])
if ARGV[6] ~= '' then redis.call('HSETNX', KEYS[3], 'receivedAt', ARGV[6]) end
if ARGV[7] ~= '' then redis.call('HSET', KEYS[3], 'sha256', ARGV[7], 'size', ARGV[8]) end
redis.call('HDEL', KEYS[3], 'letter.' .. ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return redis.call('HGETALL', KEYS[3])
`
)

// scripts are the ledger's methods, each one round trip and atomic. Keys: claim, upload, record; or as said.
type scripts struct {
	claim, renew, opened, finish, finished, release *redis.Script
	fail, attempts, letter, refill                  *redis.Script
}

func newScripts() scripts {
	return scripts{
		// ARGV: token, life of the lease in ms. An orphan of a recording that is done is handed on here and forgotten;
		// one that comes with a lease stays noted until its new holder opens an upload, finishes, or releases.
		claim: redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held == 'done' then
  local left = redis.call('GET', KEYS[2])
  redis.call('DEL', KEYS[2])
  return {'done', left or ''}
end
if held then return {'held', ''} end
redis.call('SET', KEYS[1], 'lease:' .. ARGV[1] .. ':', 'PX', ARGV[2])
return {'claimed', redis.call('GET', KEYS[2]) or ''}
`),
		// ARGV: token, life of the lease in ms.
		renew: redis.NewScript(ours + `return redis.call('PEXPIRE', KEYS[1], ARGV[2])`),
		// ARGV: token, time to live in ms, upload ID.
		opened: redis.NewScript(ours + `
redis.call('SET', KEYS[1], mine .. ARGV[3], 'KEEPTTL')
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2])
return 1
`),
		// ARGV: token, and put's.
		finish: redis.NewScript(ours + `
redis.call('SET', KEYS[1], 'done', 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
` + put),
		// ARGV: "", and put's.
		finished: redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, 6) ~= 'lease:' then redis.call('SET', KEYS[1], 'done', 'PX', ARGV[2]) end
` + put),
		// ARGV: token, time to live in ms, the upload that this holder opened or "", 1 if it is closed. An upload that is
		// closed is forgotten even when the lease has lapsed meanwhile.
		release: redis.NewScript(`
local closed = ARGV[4] == '1'
if closed and ARGV[3] ~= '' and redis.call('GET', KEYS[2]) == ARGV[3] then redis.call('DEL', KEYS[2]) end
` + ours + `
redis.call('DEL', KEYS[1])
if closed then redis.call('DEL', KEYS[2])
elseif ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2]) end
return 1
`),
		// Keys: attempts, record. ARGV: kind, time to live in ms, tier, 1 if counted, time.
		fail: redis.NewScript(`
local a, kind = KEYS[1], ARGV[1]
local previous = redis.call('HGET', a, 'last') or ''
local failed = redis.call('HINCRBY', a, 'failed', 1)
local counted = redis.call('HINCRBY', a, 'counted', ARGV[4])
local ofKind, first = 0, ''
if kind ~= '' then
  ofKind = redis.call('HINCRBY', a, 'kind.' .. kind, 1)
  redis.call('HSETNX', a, 'first.' .. kind, ARGV[5])
  first = redis.call('HGET', a, 'first.' .. kind)
end
redis.call('HSET', a, 'last', ARGV[5])
redis.call('PEXPIRE', a, ARGV[2])
redis.call('HINCRBY', KEYS[2], 'retries.' .. ARGV[3], 1)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {tostring(failed), tostring(counted), tostring(ofKind), first, previous}
`),
		// Keys: attempts. ARGV: kind.
		attempts: redis.NewScript(`
local found = redis.call('HMGET', KEYS[1], 'failed', 'counted', 'kind.' .. ARGV[1], 'first.' .. ARGV[1], 'last')
for i = 1, 5 do found[i] = found[i] or '' end
return found
`),
		// Keys: record. ARGV: reason or "", time to live in ms, tier.
		letter: redis.NewScript(`
if ARGV[1] == '' then redis.call('HDEL', KEYS[1], 'letter.' .. ARGV[3])
else redis.call('HSET', KEYS[1], 'letter.' .. ARGV[3], ARGV[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`),
		refill: redis.NewScript(refillScript),
	}
}
