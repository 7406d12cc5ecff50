-- The compare-and-set of one record: a hash of its version, its body, and the name of the call that wrote it.
-- KEYS: the record. ARGV: the version seen ('' for no record), the new version, its body, the call, when it may go ('' for never).
--
-- Versions are of 64 bits, more than a number of Lua's can tell apart: they are compared as the texts they are.
local key, seen, version, body, call, drop = KEYS[1], unpack(ARGV)
local found = redis.call('HGET', key, 'v')
if not found and redis.call('EXISTS', key) == 1 then
    return redis.error_reply('ERR a record without a version')
end
if (found or '') ~= seen then
    -- A client of a cluster sends a command again by itself when it has lost a connection. If the first did arrive, this one finds
    -- what its own call wrote: that is done, and no conflict.
    if found == version and redis.call('HGET', key, 'n') == call then
        return 1
    end
    return 0
end
redis.call('HSET', key, 'v', version, 'b', body, 'n', call)
if drop == '' then
    redis.call('PERSIST', key)
else
    redis.call('EXPIREAT', key, drop)
end
return 1
