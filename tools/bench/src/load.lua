-- What wrk sends: one request for each presented key (or for each hundred), in turn, and what it reports at the end.
-- wrk … URL -- CASE KEYS PAUSE
--   CASE   whoami: GET with the key. verify: POST by a caller, about the key. batch: POST by a caller, about 100 of their keys.
--          junk: whoami with a key whose checksum is wrong
--   KEYS   a file with a secret and the secret of a caller on each line
--   PAUSE  milliseconds that a connection rests between two requests, on average; 0 for none

local requests = {}
local at = 0

local function posted(path, caller, body)
    return wrk.format("POST", path, { ["Authorization"] = "Bearer " .. caller, ["Content-Type"] = "application/json" }, body)
end

local function of_key(case, secret, caller)
    if case == "verify" then
        return posted("/v1/verify", caller, '{"key":"' .. secret .. '"}')
    end
    if case == "junk" then
        local last = secret:sub(-1) == "0" and "1" or "0"
        secret = secret:sub(1, -2) .. last
    end
    return wrk.format("GET", "/v1/whoami", { ["Authorization"] = "Bearer " .. secret })
end

function init(args)
    local case, keys, pause = args[1], args[2], tonumber(args[3])
    local checks, asker = {}, nil
    for line in io.lines(keys) do
        local secret, caller = line:match("^(%S+) (%S+)$")
        if case ~= "batch" then
            requests[#requests + 1] = of_key(case, secret, caller)
        else
            -- Those of a workspace follow one another.
            if caller ~= asker then checks, asker = {}, caller end
            checks[#checks + 1] = '{"key":"' .. secret .. '"}'
            if #checks == 100 then
                requests[#requests + 1] = posted("/v1/verify:batch", caller, '{"checks":[' .. table.concat(checks, ",") .. "]}")
                checks = {}
            end
        end
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
    io.write(string.format("figures requests=%d microseconds=%d p50=%d p99=%d p999=%d refused=%d failed=%d\n",
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
