local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local max, seconds, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local who, report, fresh = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[10])
local length = seconds * 62500
local current = math.floor(now / length)
local head, epoch, counts, seen = current, fresh, {}, {}
local stored = redis.call('GET', KEYS[1])
if stored then
  local held
  held, epoch, head, counts, seen = unpack(cmsgpack.unpack(stored))
  local old = held * 62500
  local at = math.floor(now / old)
  if at >= head then
    local kept = {}
    for age = 1, 17 do kept[age] = counts[age - at + head] or 0 end
    head, counts = at, kept
  elseif head - at > 16 then
    head, epoch = at + 1, fresh
  end
  for _, it in pairs(seen) do
    if it[4] == held and held > seconds and head - it[1] <= 1 then seconds, length = held, old end
  end
  if old ~= length then
    local moved = {}
    for age = 1, 17 do moved[age] = 0 end
    for age = 1, 17 do
      local new = current - math.min(math.floor(((head - age + 2) * old - 1) / length), current) + 1
      if new <= 17 then moved[new] = moved[new] + counts[age] end
    end
    head, counts, epoch = current, moved, fresh
  end
else
  for age = 1, 17 do counts[age] = 0 end
end
local back = head - tonumber(ARGV[8]) + 1
if tonumber(ARGV[7]) == epoch and counts[back] then
  counts[back] = math.max(counts[back] - tonumber(ARGV[9]), 0)
end
local mine = seen[who] or { 0, 0, 0 }
if report > mine[2] then
  counts[1] = counts[1] + tonumber(ARGV[6])
end
seen[who] = { head, math.max(report, mine[2]), want > 0 and 1 or 0, tonumber(ARGV[2]) }
local asking, kept = 0, {}
for other, it in pairs(seen) do
  if math.abs(head - it[1]) <= 1 then
    kept[other], asking = it, asking + it[3]
  end
end
local used = 0
for age = 1, 17 do used = used + counts[age] end
local left = math.max(max - used, 0)
local granted = math.min(want, left, math.max(math.floor(left / (2 * math.max(asking, 1))), 1))
counts[1], used, left = counts[1] + granted, used + granted, left - granted
local function free(units)
  local sum = 0
  for age = 17, 1, -1 do
    sum = sum + counts[age]
    if sum >= units then return (head - age + 18) * length - now end
  end
end
redis.call('SET', KEYS[1], cmsgpack.pack({ seconds, epoch, head, counts, kept }), 'PX',
  math.ceil(((head + 18) * length - now) / 1000))
return { granted, left, epoch, head, math.min((head + 1) * length - now, ARGV[2] * 62500),
  left == 0 and free(used - max + 1) or 0, used > 0 and free(1) or 0 }
