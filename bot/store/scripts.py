"""What Redis does in one step. Each script touches the keys of one hash slot only, so that a cluster takes it."""

from __future__ import annotations

RECORD = """
-- Appends one entry to a timeline if its chain still ends where the writer believes.
-- Redis has no SHA-256: the writer has computed the link, and says with `expected` which tail it is for.
-- A tail is spelled "<ordinal> <hash> <time of recording>".
local log, head, seen = KEYS[1], KEYS[2], KEYS[3]
local expected, tail, body, writer = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local once, keep, creates = ARGV[5], tonumber(ARGV[6]), ARGV[7] == '1'
local ordinal, digest = string.match(tail, '^(%d+) (%x+)')
local prev = string.match(expected, '^%d+ (%x+)') or string.rep('0', 64)
local id = ordinal .. '-0'

local earlier = once ~= '' and redis.call('HGET', seen, once)
if earlier then
  return {'known', redis.call('XRANGE', log, earlier, earlier)}
end
local state = redis.call('HMGET', head, 'tail', 'closed_at')
if not state[1] and not creates then
  return {'unknown'}
end
if (state[1] or '') ~= expected then
  local there = redis.call('XRANGE', log, id, id)[1]
  if there and there[2][8] == writer then
    return {'added'}  -- this very call has come before, and its answer was lost
  end
  return {'moved', state[1] or ''}
end

redis.call('XADD', log, id, 'prev', prev, 'hash', digest, 'body', body, 'writer', writer)
redis.call('HSET', head, 'tail', tail)
if once ~= '' then
  redis.call('HSET', seen, once, id)
end
for i = 8, #ARGV, 2 do
  redis.call('HSET', head, ARGV[i], ARGV[i + 1])
end
if keep > 0 and redis.call('HEXISTS', head, 'closed_at') == 1 then
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, keep)
  end
end
return {'added'}
"""

DELETE_IF = """
-- Deletes a key if it still holds this value.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
"""

TAKE = """
-- Sets a key for a time if nobody has it, or if this holder has it already.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

CLAIM = """
-- Sets a key for a time if nobody has it. Asked again by the same claimant, whose answer was lost, it says yes again.
local claimant = redis.call('GET', KEYS[1])
if claimant then
  return claimant == ARGV[1] and 1 or 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

PUT = """
-- Replaces a record as a whole.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""

UPDATE = """
-- Sets fields of a record that is there, and returns all of it. ARGV: the guarded field, how many values it may have
-- (-1: any), those values, then the fields to set.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
local count = tonumber(ARGV[2])
local first = 3
if count >= 0 then
  local present = redis.call('HGET', KEYS[1], ARGV[1])
  local fits = false
  for i = 3, 2 + count do
    fits = fits or ARGV[i] == present
  end
  if not fits then
    return false
  end
  first = 3 + count
end
if #ARGV >= first then
  redis.call('HSET', KEYS[1], unpack(ARGV, first))
end
return redis.call('HGETALL', KEYS[1])
"""

ENLIST = """
-- Puts a member on a list at a time, and takes off whoever is older than the list's memory.
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. (ARGV[1] - ARGV[3]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
