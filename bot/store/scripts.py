"""What Redis does in one step. Each script touches the keys of one hash slot only, so that a cluster takes it."""

from __future__ import annotations

RECORD = """
-- Appends entries to a timeline, one after another, if its chain still ends where the writer believes.
-- Redis has no SHA-256: the writer has computed the links, and says with `expected` which tail they are for.
-- A tail is spelled "<ordinal> <hash> <time of recording>".
-- ARGV: expected; in one word each, with spaces: the writer, milliseconds to keep a closed timeline (0: for ever), 1
-- if the first entry may begin it, how many marks; the marks (name, value); then for each entry its tail, its body and
-- its idempotency key.
-- A mark sets a field of the head along with the entry; "-field" removes it, "=field" says what it must be before.
-- The head's field `corrections` lists the ordinals of the entries that correct others, so that they can be found.
-- Stops at the first entry that is not added: all behind it were linked to it. Returns how many were added; if it
-- stopped, in a list with the reason.
local log, head, seen = KEYS[1], KEYS[2], KEYS[3]
local expected = ARGV[1]
local writer, keep, begins, marks = string.match(ARGV[2], '^(%x+) (%d+) (%d) (%d+)$')
keep, marks = tonumber(keep), 2 * marks
local state = redis.call('HMGET', head, 'tail', 'closed_at')
local tail, closed = state[1] or '', state[2]
local fits = tail == expected
local prev, added = string.sub(expected, -92, -29), 0
if expected == '' then
  prev = string.rep('0', 64)
end

local function is_mine(id)
  -- this very call has come before, and its answer was lost
  local there = redis.call('XRANGE', log, id, id)[1]
  return there and there[2][8] == writer
end

local function stop(why, more)
  if added > 0 and fits then
    redis.call('HSET', head, 'tail', tail)
  end
  if added > 0 and closed and keep > 0 then
    for _, key in ipairs(KEYS) do
      redis.call('PEXPIRE', key, keep)
    end
  end
  return why and {added, why, more} or added
end

for i = 3 + marks, #ARGV, 3 do
  local new, once = ARGV[i], ARGV[i + 2]
  local hash = string.sub(new, -92, -29)
  local id = string.sub(new, 1, -94) .. '-0'
  local earlier = once ~= '' and redis.call('HGET', seen, once)
  if earlier and not (earlier == id and is_mine(id)) then
    return stop('known', redis.call('XRANGE', log, earlier, earlier))
  elseif tail == '' and begins ~= '1' then
    return stop('unknown')
  elseif not fits and not is_mine(id) then
    return stop('moved', tail)
  elseif fits then
    for m = 3, 2 + marks, 2 do
      local name = string.match(ARGV[m], '^=(.*)')
      if name and redis.call('HGET', head, name) ~= ARGV[m + 1] then
        return stop('stale')
      end
    end
    redis.call('XADD', log, id, 'prev', prev, 'hash', hash, 'body', ARGV[i + 1], 'writer', writer)
    if once ~= '' then
      redis.call('HSET', seen, once, id)
    end
    if string.find(ARGV[i + 1], '"kind":"entry.', 1, true) then
      local listed = redis.call('HGET', head, 'corrections') or ''
      redis.call('HSET', head, 'corrections', listed .. string.sub(new, 1, -94) .. ' ')
    end
    prev, tail = hash, new
    for m = 3, 2 + marks, 2 do
      local sign, name = string.match(ARGV[m], '^([-=]?)(.*)')
      if sign == '-' then
        redis.call('HDEL', head, name)
      elseif sign == '' then
        redis.call('HSET', head, name, ARGV[m + 1])
      end
      if name == 'closed_at' then
        closed = sign == ''
      end
    end
    if marks > 0 and not closed then
      for _, key in ipairs(KEYS) do
        redis.call('PERSIST', key)
      end
    end
  end
  added = added + 1
end
return stop()
"""

STAGE = """
-- Adds entries to a timeline that is being put back, where nobody reads it. Sent again, it adds nothing twice.
-- ARGV: milliseconds that it may lie there, the first entry's ordinal, then prev, hash and body of each.
local there = redis.call('XLEN', KEYS[1])
for i = 3, #ARGV, 3 do
  local ordinal = ARGV[2] + (i - 3) / 3
  if ordinal > there then
    local id = string.format('%d-0', ordinal)
    redis.call('XADD', KEYS[1], id, 'prev', ARGV[i], 'hash', ARGV[i + 1], 'body', ARGV[i + 2])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""

PUBLISH = """
-- Makes a staged timeline the incident's, in one step. KEYS: log, head and once as they shall be, then as staged.
-- ARGV: which staging this is, milliseconds to keep a closed timeline (0: for ever).
-- Returns 1 if it is this staging that is there, 0 if another does, -1 if nothing does and nothing is staged.
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then
  redis.call('DEL', KEYS[4], KEYS[5], KEYS[6])
  return redis.call('HGET', KEYS[2], 'restored') == ARGV[1] and 1 or 0
end
if redis.call('EXISTS', KEYS[4], KEYS[5], KEYS[6]) < 3 then
  return -1
end
local closed = redis.call('HEXISTS', KEYS[5], 'closed_at') == 1
for i = 1, 3 do
  redis.call('RENAME', KEYS[i + 3], KEYS[i])
  if closed and tonumber(ARGV[2]) > 0 then
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
  else
    redis.call('PERSIST', KEYS[i])
  end
end
return 1
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

RENEW = """
-- Keeps a key for longer if this holder has it still; one that ran out is not set again.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
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
-- Replaces a complete record.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""

SWAP = """
-- Replaces a complete record if its version is the one that the writer knows ("": there is none).
-- ARGV: the version it has, the one it gets, milliseconds to live, then the fields.
local there = redis.call('HGET', KEYS[1], '.version') or ''
if there == ARGV[2] then
  return 1
end
if there ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""

UPDATE = """
-- Sets fields of a record that is there, and returns all of it. ARGV: the guarded field, how many values it may have
-- (-1: any), those values, how many more fields are guarded, each with its one value, then the fields to set.
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
local more = tonumber(ARGV[first])
for i = first + 1, first + 2 * more, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1] then
    return false
  end
end
first = first + 1 + 2 * more
if #ARGV >= first then
  redis.call('HSET', KEYS[1], unpack(ARGV, first))
end
return redis.call('HGETALL', KEYS[1])
"""

ENLIST = """
-- Puts a member on a list at a time, and takes off members older than the list's memory.
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. (ARGV[1] - ARGV[3]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""

ACCEPT = """
-- Writes a delivery down, once, for its process to work on. KEYS: those that are waiting, this one.
-- ARGV: its name, a word of the process for this very call, what it is, milliseconds until another process may take it
-- up, milliseconds to live. Returns 0 if it is known already.
local asked = redis.call('HGET', KEYS[2], 'asked')
if asked then
  return asked == ARGV[2] and 1 or 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[2], 'asked', ARGV[2], 'what', ARGV[3], 'at', now, 'takes', 0)
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('ZADD', KEYS[1], now + ARGV[4], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
"""

SETTLE = """
-- Nothing is left to be done about a delivery; only that it came is remembered for a while. KEYS as for ACCEPT.
-- ARGV: its name, milliseconds to remember.
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'asked', '')
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
"""

TAKE_UP = """
-- Keeps the deliveries that a process works on, and gives it those whose own process is silent.
-- KEYS: those that are waiting. ARGV: what a delivery's key begins with, milliseconds until another may take one up,
-- how many at most, then the names that are kept. Returns name, what it is, its age in milliseconds and how often it
-- was taken up of each. The time is this Redis' own.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 4, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', now + ARGV[2], ARGV[i])
end
local taken = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])) do
  local key = ARGV[1] .. name
  local found = redis.call('HMGET', key, 'what', 'at')
  if found[1] then
    redis.call('ZADD', KEYS[1], now + ARGV[2], name)
    local takes = redis.call('HINCRBY', key, 'takes', 1)
    taken[#taken + 1] = {name, found[1], now - found[2], takes}
  else
    redis.call('ZREM', KEYS[1], name)
  end
end
return taken
"""
