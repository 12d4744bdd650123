-- wrk ... -s wrk.lua URL -- METHOD BODY TOKEN...
-- Sends the same request for each access token in turn, and ends with one line of JSON.
local requests, turn = {}, 0

function init(args)
  for i = 3, #args do
    local headers = { Authorization = "Bearer " .. args[i], ["Content-Type"] = "application/json" }
    for name, value in pairs(wrk.headers) do headers[name] = value end
    requests[i - 2] = wrk.format(args[1], nil, headers, args[2] ~= "" and args[2] or nil)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local e = summary.errors
  print(string.format('{"requests": %d, "seconds": %.6f, "p99": %.3f, "errors": %d}', summary.requests,
    summary.duration / 1e6, latency:percentile(99) / 1e3, e.connect + e.read + e.write + e.status + e.timeout))
end
