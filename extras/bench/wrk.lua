-- wrk ... -s wrk.lua URL -- METHOD BODY KEYED TOKEN...
-- Sends the same request for each access token in turn, but for a new key of `idempotency` in each if KEYED is not empty,
-- and ends with one line of JSON.
local KEY = "00000000-0000-4000-8000-000000000000"
local requests, turn = {}, 0

function init(args)
  math.randomseed(os.time())
  for i = 4, #args do
    local headers = { Authorization = "Bearer " .. args[i], ["Content-Type"] = "application/json" }
    for name, value in pairs(wrk.headers) do headers[name] = value end
    if args[3] ~= "" then headers["Idempotency-Key"] = KEY end
    local text = wrk.format(args[1], nil, headers, args[2] ~= "" and args[2] or nil)
    local first, last = text:find(KEY, 1, true)
    requests[i - 3] = first and { text:sub(1, first - 1), text:sub(last + 1) } or text
  end
end

function request()
  turn = turn % #requests + 1
  local text = requests[turn]
  return type(text) == "string" and text or text[1] .. new_key() .. text[2]
end

function new_key()
  local random = math.random
  return string.format("%08x-%04x-4%03x-8%03x-%06x%06x", random(0, 0xffffffff), random(0, 0xffff), random(0, 0xfff),
    random(0, 0xfff), random(0, 0xffffff), random(0, 0xffffff))
end

function done(summary, latency)
  local e = summary.errors
  print(string.format('{"requests": %d, "seconds": %.6f, "p99": %.3f, "errors": %d}', summary.requests,
    summary.duration / 1e6, latency:percentile(99) / 1e3, e.connect + e.read + e.write + e.status + e.timeout))
end
