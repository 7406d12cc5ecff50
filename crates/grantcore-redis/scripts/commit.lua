-- Compares and sets one record: a hash of its version, its body, and the names of the last calls that wrote it.
-- KEYS: the record. ARGV: the version seen ('' for no record), the new version, its body, the call's name of 8 bytes, and the time
-- from which the record may be dropped ('' for never).
--
-- Versions have 64 bits, more than a number of Lua represents exactly: they are compared as texts.
local key, seen, version, body, call, drop = KEYS[1], unpack(ARGV)
local found, calls = unpack(redis.call('HMGET', key, 'v', 'n'))
if not found and redis.call('EXISTS', key) == 1 then
    return redis.error_reply('ERR a record without a version')
end
calls = calls or ''
if (found or '') ~= seen then
    -- A cluster's client sends a command again if it has lost a connection. If the first one arrived, the retry finds its own name,
    -- also after writes of others: the write is done, and no conflict.
    for at = 1, #calls, 8 do
        if string.sub(calls, at, at + 7) == call then
            return 1
        end
    end
    return 0
end
redis.call('HSET', key, 'v', version, 'b', body, 'n', string.sub(call .. calls, 1, 16 * 8))
if drop == '' then
    redis.call('PERSIST', key)
else
    -- A record that may be dropped already is kept for longer than a call waits for its answer: a retry that found no record would conflict.
    local soon = redis.call('TIME')[1] + 4
    if tonumber(drop) < soon then
        drop = soon
    end
    redis.call('EXPIREAT', key, drop)
end
return 1
