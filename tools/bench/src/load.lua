-- What wrk sends: one request for each presented key, in turn, and what it reports at the end.
-- wrk … URL -- CASE KEYS PAUSE
--   CASE   whoami: GET with the key. verify: POST by a caller, about the key. junk: whoami with a key whose checksum is wrong
--   KEYS   a file with a secret and the secret of a caller on each line
--   PAUSE  milliseconds that a connection rests between two requests, on average; 0 for none

local requests = {}
local at = 0

local function of_key(case, secret, caller)
    if case == "verify" then
        local headers = { ["Authorization"] = "Bearer " .. caller, ["Content-Type"] = "application/json" }
        return wrk.format("POST", "/v1/verify", headers, '{"key":"' .. secret .. '"}')
    end
    if case == "junk" then
        local last = secret:sub(-1) == "0" and "1" or "0"
        secret = secret:sub(1, -2) .. last
    end
    return wrk.format("GET", "/v1/whoami", { ["Authorization"] = "Bearer " .. secret })
end

function init(args)
    local case, keys, pause = args[1], args[2], tonumber(args[3])
    for line in io.lines(keys) do
        local secret, caller = line:match("^(%S+) (%S+)$")
        requests[#requests + 1] = of_key(case, secret, caller)
    end
    if pause > 0 then
        -- Spread evenly, so that the connections do not march in step.
        delay = function() return math.random(0, 2 * pause) end
    end
end

function request()
    at = at % #requests + 1
    return requests[at]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format("figures requests=%d microseconds=%d p50=%d p99=%d refused=%d failed=%d\n",
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
