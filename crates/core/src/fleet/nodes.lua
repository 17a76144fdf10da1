local now = redis.call('TIME')[1]
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 15)
redis.call('EXPIRE', KEYS[1], 60)
redis.call('SET', KEYS[2], ARGV[2], 'NX')
local info = redis.pcall('INFO')
info = type(info) == 'string' and info or ''
local policy = info:match('maxmemory_policy:([%w-]+)') or 'noeviction'
return { redis.call('ZCARD', KEYS[1]), tonumber(redis.call('GET', KEYS[2])), policy == 'noeviction' and 0 or 1,
  tonumber(info:match('run_id:(%x%x%x%x%x%x%x%x%x%x)') or '0', 16) }
