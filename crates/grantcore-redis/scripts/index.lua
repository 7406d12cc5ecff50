-- Enters a grant in the index of its user: a sorted set of ids, scored by the end of each grant.
-- KEYS: the index. ARGV: the id, and the end of the grant ('+inf' for never).
--
-- The end of an entry only moves later. Otherwise a late command of the consent page would shorten what the approval wrote.
local key, id, over = KEYS[1], unpack(ARGV)
redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. redis.call('TIME')[1])
redis.call('ZADD', key, 'GT', over, id)
local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
if last == 'inf' then
    redis.call('PERSIST', key)
elseif last then
    redis.call('EXPIREAT', key, last)
end
return 1
