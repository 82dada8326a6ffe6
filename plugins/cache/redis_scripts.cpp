#include "redis_scripts.hpp"

#include <fmt/format.h>

#include <random>

namespace larder::cache::scripts {

std::string fresh_epoch() {
    std::random_device random;
    return fmt::format("{:08x}{:08x}", random(), random());
}

const Script& hello() {
    static const Script script(R"lua(
local p = KEYS[1]
redis.call('SET', p .. 'alive', ARGV[1], 'EX', 60)
redis.call('SET', p .. 'epoch', ARGV[1], 'NX')
return redis.call('GET', p .. 'epoch')
)lua");
    return script;
}

const Script& get_entry() {
    static const Script script(R"lua(
local p = KEYS[1]
local at = p .. 'cache:' .. ARGV[1]
redis.call('SET', p .. 'epoch', ARGV[2], 'NX')
return {redis.call('HGET', at, 'd') or '', redis.call('PTTL', at),
        redis.call('GET', p .. 'epoch'), redis.call('GET', p .. 'seq') or '0'}
)lua");
    return script;
}

const Script& put_entry() {
    static const Script script(R"lua(
local p = KEYS[1]
local key, tags, ms = ARGV[1], ARGV[3], tonumber(ARGV[4])
local kind = '='
if ARGV[6] ~= '' then
  if redis.call('GET', p .. 'epoch') ~= ARGV[6] then return 0 end
  local seq = tonumber(ARGV[7])
  local mark = redis.call('GET', p .. 'mark:key:' .. key)
  if mark and tonumber(mark) > seq then return 0 end
  for tag in string.gmatch(tags, '[^,]+') do
    mark = redis.call('GET', p .. 'mark:tag:' .. tag)
    if mark and tonumber(mark) > seq then return 0 end
  end
  for _, prefix in ipairs(redis.call('ZRANGEBYSCORE', p .. 'mark:broad', '(' .. seq, '+inf')) do
    if string.sub(key, 1, #prefix) == prefix then return 0 end
  end
else
  kind = '-'
  redis.call('SET', p .. 'mark:key:' .. key, redis.call('INCR', p .. 'seq'), 'EX', 86400)
end
local at = p .. 'cache:' .. key
redis.call('DEL', at)
redis.call('HSET', at, 'd', ARGV[2], 't', tags)
redis.call('PEXPIRE', at, ms)
for tag in string.gmatch(tags, '[^,]+') do
  local set = p .. 'tag:' .. tag
  redis.call('SADD', set, key)
  if redis.call('PTTL', set) < ms then redis.call('PEXPIRE', set, ms) end
end
redis.call('PUBLISH', p .. 'changes', ARGV[5] .. ' ' .. kind .. key)
return 1
)lua");
    return script;
}

const Script& delete_entries() {
    static const Script script(R"lua(
local p = KEYS[1]
local gone = 0
for i = 2, #ARGV do
  local key = ARGV[i]
  gone = gone + redis.call('DEL', p .. 'cache:' .. key)
  redis.call('SET', p .. 'mark:key:' .. key, redis.call('INCR', p .. 'seq'), 'EX', 86400)
  redis.call('PUBLISH', p .. 'changes', ARGV[1] .. ' -' .. key)
end
return gone
)lua");
    return script;
}

const Script& mark_broad() {
    static const Script script(R"lua(
local p = KEYS[1]
redis.call('SET', p .. 'epoch', ARGV[4], 'NX')
local seq = redis.call('INCR', p .. 'seq')
if ARGV[1] == 't' then
  redis.call('SET', p .. 'mark:tag:' .. ARGV[2], seq, 'EX', 86400)
else
  redis.call('ZADD', p .. 'mark:broad', seq, ARGV[3])
  local over = redis.call('ZCARD', p .. 'mark:broad') - 1000
  if over > 0 then
    redis.call('ZREMRANGEBYRANK', p .. 'mark:broad', 0, over - 1)
    redis.call('ZADD', p .. 'mark:broad', seq, '')
  end
end
return seq
)lua");
    return script;
}

const Script& drop_tagged() {
    static const Script script(R"lua(
local p = KEYS[1]
local set, gone = p .. 'tag:' .. ARGV[1], 0
for _, key in ipairs(redis.call('SPOP', set, 500)) do
  local tags = redis.call('HGET', p .. 'cache:' .. key, 't')
  if tags and string.find(tags, ',' .. ARGV[1] .. ',', 1, true) then
    gone = gone + redis.call('DEL', p .. 'cache:' .. key)
  end
end
return {gone, redis.call('EXISTS', set)}
)lua");
    return script;
}

const Script& drop_entries() {
    static const Script script(R"lua(
local gone = 0
for i = 1, #ARGV do gone = gone + redis.call('DEL', KEYS[1] .. 'cache:' .. ARGV[i]) end
return gone
)lua");
    return script;
}

// Times count from 2025, so that a double holds them to a hundredth of a microsecond.
const Script& take_from_limit() {
    static const Script script(R"lua(
local at = KEYS[1] .. 'rate_limit:' .. ARGV[1]
local limit, window, cost = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1735689600) * 1000000 + tonumber(time[2])
local step = window / limit
local tat = tonumber(redis.call('GET', at) or '0')
if tat < now then tat = now end
local after = tat + cost * step
local over = after - now - window
local allowed = 0
if over <= 0.01 then
  allowed = 1
  tat = after
  if cost > 0 then
    redis.call('SET', at, string.format('%.3f', tat), 'PX', math.ceil((tat - now) / 1000) + 1)
  end
  over = 0
end
local used = tat - now
return {tostring(allowed), string.format('%.0f', math.max(0, math.floor((window - used) / step + 0.0001))),
        string.format('%.0f', used), string.format('%.0f', over)}
)lua");
    return script;
}

const Script& create_session() {
    static const Script script(R"lua(
local p, id = KEYS[1], ARGV[1]
local now, ttl, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local at, set = p .. 'session:' .. id, p .. 'user:' .. ARGV[5]
redis.call('HSET', at, 'user_id', ARGV[5], 'data', ARGV[6], 'created_at', ARGV[2],
           'last_activity', ARGV[2], 'ip_address', ARGV[7], 'ttl', ARGV[3], 'until', ARGV[4])
redis.call('PEXPIRE', at, math.max(1, math.min(ttl, most - now)))
redis.call('SADD', set, id)
if redis.call('PTTL', set) < most - now then redis.call('PEXPIRE', set, math.max(1, most - now)) end
return 1
)lua");
    return script;
}

const Script& touch_session() {
    static const Script script(R"lua(
local p, id, now = KEYS[1], ARGV[1], tonumber(ARGV[2])
local at = p .. 'session:' .. id
local s = redis.call('HMGET', at, 'user_id', 'data', 'created_at', 'ttl', 'until', 'ip_address')
if not (s[1] and s[2] and s[3] and s[4] and s[5] and s[6]) then return {} end
local expires = math.min(now + tonumber(s[4]), tonumber(s[5]))
if expires <= now then
  redis.call('DEL', at)
  redis.call('SREM', p .. 'user:' .. s[1], id)
  return {}
end
redis.call('HSET', at, 'last_activity', ARGV[2])
redis.call('PEXPIRE', at, expires - now)
return {s[1], s[2], s[3], ARGV[2], string.format('%.0f', expires), s[6], s[4]}
)lua");
    return script;
}

const Script& show_sessions() {
    static const Script script(R"lua(
local shown = {}
for i = 2, #ARGV do
  local at = KEYS[1] .. 'session:' .. ARGV[i]
  local s = redis.call('HMGET', at, 'user_id', 'created_at', 'last_activity', 'ip_address', 'ttl')
  shown[i - 1] = {}
  if s[1] and s[2] and s[3] and s[4] and s[5] then
    local expires = tonumber(ARGV[1]) + redis.call('PTTL', at)
    shown[i - 1] = {s[1], '', s[2], s[3], string.format('%.0f', expires), s[4], s[5]}
  end
end
return shown
)lua");
    return script;
}

const Script& change_session() {
    static const Script script(R"lua(
local at = KEYS[1] .. 'session:' .. ARGV[1]
if redis.call('HGET', at, 'data') ~= ARGV[2] then return 0 end
redis.call('HSET', at, 'data', ARGV[3], 'ttl', ARGV[4])
return 1
)lua");
    return script;
}

const Script& end_sessions() {
    static const Script script(R"lua(
local p, gone = KEYS[1], 0
for _, id in ipairs(ARGV) do
  local user = redis.call('HGET', p .. 'session:' .. id, 'user_id')
  gone = gone + redis.call('DEL', p .. 'session:' .. id)
  if user then redis.call('SREM', p .. 'user:' .. user, id) end
end
return gone
)lua");
    return script;
}

const Script& end_sessions_of() {
    static const Script script(R"lua(
local p, gone = KEYS[1], 0
local set = p .. 'user:' .. ARGV[1]
for _, id in ipairs(redis.call('SMEMBERS', set)) do
  gone = gone + redis.call('DEL', p .. 'session:' .. id)
end
redis.call('DEL', set)
return gone
)lua");
    return script;
}

const Script& score_member() {
    static const Script script(R"lua(
local at, member = KEYS[1] .. 'board:' .. ARGV[1], ARGV[2]
if not redis.call('ZSCORE', at, member) and redis.call('ZCARD', at) >= tonumber(ARGV[5]) then
  return 0
end
if ARGV[3] == 'by' then
  local sum = tonumber(redis.call('ZSCORE', at, member) or '0') + tonumber(ARGV[4])
  if sum == math.huge or sum == -math.huge then return 1 end
  redis.call('ZINCRBY', at, ARGV[4], member)
else
  redis.call('ZADD', at, ARGV[4], member)
end
return {redis.call('ZSCORE', at, member), redis.call('ZREVRANK', at, member)}
)lua");
    return script;
}

const Script& rank_member() {
    static const Script script(R"lua(
local at = KEYS[1] .. 'board:' .. ARGV[1]
local score = redis.call('ZSCORE', at, ARGV[2])
if not score then return {} end
return {score, redis.call('ZREVRANK', at, ARGV[2])}
)lua");
    return script;
}

// Whether a text is behind another by bytes is not Lua's to say: it compares by the locale.
const Script& page_board() {
    static const Script script(R"lua(
local at, count, from = KEYS[1] .. 'board:' .. ARGV[1], tonumber(ARGV[2]), 0
local function is_less(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
if ARGV[3] then
  local score, high = tonumber(ARGV[3]), redis.call('ZCARD', at)
  while from < high do
    local middle = math.floor((from + high) / 2)
    local found = redis.call('ZREVRANGE', at, middle, middle, 'WITHSCORES')
    local its = tonumber(found[2])
    if its < score or (its == score and is_less(found[1], ARGV[4])) then
      high = middle
    else
      from = middle + 1
    end
  end
end
local page = redis.call('ZREVRANGE', at, from, from + count - 1, 'WITHSCORES')
table.insert(page, 1, from)
return page
)lua");
    return script;
}

// A list that has no number, since it is older or others made it, is given one that none had.
const Script& push_to_list() {
    static const Script script(R"lua(
local p = KEYS[1]
local at, pushed = p .. 'list:' .. ARGV[1], p .. 'pushed:' .. ARGV[1]
if redis.call('EXISTS', pushed) == 0 then
  redis.call('SET', pushed, redis.call('INCRBY', p .. 'pushes', redis.call('LLEN', at)))
end
redis.call('INCR', p .. 'pushes')
redis.call('INCR', pushed)
redis.call('LPUSH', at, ARGV[2])
redis.call('LTRIM', at, 0, tonumber(ARGV[3]) - 1)
return redis.call('LLEN', at)
)lua");
    return script;
}

const Script& page_list() {
    static const Script script(R"lua(
local at, below, from = KEYS[1] .. 'list:' .. ARGV[1], tonumber(ARGV[3]), 0
local pushed = tonumber(redis.call('GET', KEYS[1] .. 'pushed:' .. ARGV[1]) or 0)
pushed = math.max(pushed, redis.call('LLEN', at))  -- others may have pushed, too
if below > 0 then from = math.max(0, pushed - below + 1) end
local page = redis.call('LRANGE', at, from, from + tonumber(ARGV[2]) - 1)
table.insert(page, 1, pushed - from)
return page
)lua");
    return script;
}

const Script& remove_list() {
    static const Script script(R"lua(
redis.call('DEL', KEYS[1] .. 'pushed:' .. ARGV[1])
return redis.call('DEL', KEYS[1] .. 'list:' .. ARGV[1])
)lua");
    return script;
}

}  // namespace larder::cache::scripts
