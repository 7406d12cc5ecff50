-- Enters a grant in the index of its user: a sorted set of ids, by when the grant is over whatever happens.
-- KEYS: the index. ARGV: the id, and when it is over ('+inf' for never).
--
-- An entry's end only moves away, or a late command of the consent page would cut short what its approval wrote.
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
