redis.call('SET', KEYS[5], ARGV[1], 'NX')
local out = { tonumber(redis.call('GET', KEYS[5])), tonumber(redis.call('GET', KEYS[4]) or 0) }
local function whole(number) return math.min(math.max(0, tonumber(number) or 0), 2 ^ 53) end
local new = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, 500)
for at = 1, #new, 2 do
  out[#out + 1] = new[at]
  out[#out + 1] = tonumber(new[at + 1])
  out[#out + 1] = whole(redis.call('ZSCORE', KEYS[1], new[at]))
  out[#out + 1] = whole(redis.call('HGET', KEYS[3], new[at]))
end
return out
