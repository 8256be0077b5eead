-- Loads one path with the keys of SECRETS (a file, one a line) in turn, and prints "requests microseconds p50 p99 errors".
-- MODE: bare (no key), whoami (the key in a header), verify (the key in a body, asked by CALLER). PAUSE: milliseconds
-- that each connection waits between requests, to measure latency below capacity.
local mode, pause, prepared, sent = os.getenv("MODE"), tonumber(os.getenv("PAUSE") or "0"), {}, 0

function init()
  if mode == "bare" then
    prepared[1] = wrk.format("GET")
    return
  end
  for secret in io.lines(os.getenv("SECRETS")) do
    if mode == "whoami" then
      prepared[#prepared + 1] = wrk.format("GET", nil, { ["Authorization"] = "Bearer " .. secret })
    else
      prepared[#prepared + 1] = wrk.format("POST", nil, {
        ["Authorization"] = "Bearer " .. os.getenv("CALLER"),
        ["Content-Type"] = "application/json",
      }, '{"key":"' .. secret .. '","scope":"inference"}')
    end
  end
end

function request()
  sent = sent + 1
  return prepared[sent % #prepared + 1]
end

if pause > 0 then
  function delay() return pause end
end

function done(summary, latency)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout
  print(string.format("%d %d %d %d %d", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors))
end
