local now = tonumber(redis.call('TIME')[1])
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - 3600, 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[1], entry)
  redis.call('ZREM', KEYS[2], entry)
  redis.call('HDEL', KEYS[3], entry)
end
redis.call('SET', KEYS[5], ARGV[1], 'NX')
for at = 2, #ARGV, 3 do
  local entry, ends, before = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local old = tonumber(redis.call('ZSCORE', KEYS[1], entry) or -1)
  local since = tonumber(redis.call('HGET', KEYS[3], entry) or 0)
  if ends > old or before > since then
    redis.call('ZADD', KEYS[2], redis.call('INCR', KEYS[4]), entry)
    redis.call('HSET', KEYS[3], entry, string.format('%.0f', math.max(before, since)))
    redis.call('ZADD', KEYS[1], 'GT', string.format('%.0f', ends), entry)
  end
end
return { tonumber(redis.call('GET', KEYS[5])), tonumber(redis.call('GET', KEYS[4]) or 0) }
