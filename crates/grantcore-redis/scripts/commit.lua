-- The compare-and-set of one record: a hash of its version, its body, and the names of the last calls that wrote it.
-- KEYS: the record. ARGV: the version seen ('' for no record), the new version, its body, the call's name of 16 bytes, and when the
-- record may go ('' for never).
--
-- Versions are of 64 bits, more than a number of Lua's can tell apart: they are compared as the texts they are.
local key, seen, version, body, call, drop = KEYS[1], unpack(ARGV)
local found, calls = unpack(redis.call('HMGET', key, 'v', 'n'))
if not found and redis.call('EXISTS', key) == 1 then
    return redis.error_reply('ERR a record without a version')
end
calls = calls or ''
if (found or '') ~= seen then
    -- A client of a cluster sends a command again by itself when it has lost a connection. If the first did arrive, this one finds
    -- its own name, even when others have written since: that is done, and no conflict.
    for at = 1, #calls, 16 do
        if string.sub(calls, at, at + 15) == call then
            return 1
        end
    end
    return 0
end
redis.call('HSET', key, 'v', version, 'b', body, 'n', string.sub(call .. calls, 1, 8 * 16))
if drop == '' then
    redis.call('PERSIST', key)
else
    -- One that may go already stays for longer than a call waits for its answer: a retry that found nothing would be told of a conflict.
    local soon = redis.call('TIME')[1] + 4
    if tonumber(drop) < soon then
        drop = soon
    end
    redis.call('EXPIREAT', key, drop)
end
return 1
