-- Sends the requests of a file, one line each: METHOD PATH TOKEN ("-" for no token), in turn and again from the start.
-- Formats them once, before the first is sent. Ends with one line of JSON for load.py. Two more arguments, a number of
-- connections and of milliseconds, spread the first requests evenly over that time: an upstream that takes as long for
-- each keeps them apart.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

local function formatted(line)
  local method, path, token = line:match("^(%S+) (%S+) (%S+)$")
  local headers = {}
  local body = nil
  if token ~= "-" then
    headers["authorization"] = "Bearer " .. token
  end
  if method == "POST" then
    headers["content-type"] = "application/json"
    body = '{"item":"a-17","quantity":3,"note":"leave at the door","gift":false}'
  end
  return wrk.format(method, path, headers, body)
end

function init(args)
  local requests = {}
  for line in io.lines(args[1]) do
    requests[#requests + 1] = formatted(line)
  end
  count = #requests
  sent = 0
  request = function()
    sent = sent + 1
    return requests[(sent - 1) % count + 1]
  end
  if args[3] then
    local connections, milliseconds, begun = tonumber(args[2]), tonumber(args[3]), 0
    delay = function()
      begun = begun + 1
      return begun <= connections and math.floor(begun * milliseconds / connections) or 0
    end
  end
end

function done(summary)
  local wraps = 0
  for _, thread in ipairs(threads) do
    wraps = math.max(wraps, thread:get("sent") / thread:get("count"))
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"refused":%d,"socket_errors":%d,"wraps":%.3f}\n',
    summary.requests, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, wraps))
end
