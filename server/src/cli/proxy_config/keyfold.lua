-- Asks Keyfold whether a request may pass. HAProxy 2.6 or later; loaded by haproxy.cfg.

-- HAProxy looks names up by DNS only, so write an address here and not a name like localhost.
local url = "http://@keyfold@@auth_path@"

-- What a yes tells the application: always all of them.
local identity = {
    "@name@",
}

-- What of a refusal goes to the client.
local passed_on = {
    "content-type", "www-authenticate", "retry-after", "ratelimit-policy", "ratelimit", "cache-control", "x-request-id",
}

local unavailable = '@unavailable@'

local function first(headers, name)
    local values = headers and headers[name]
    return values and values[0] or nil
end

local function refuse(txn, status, headers, body)
    local reply = txn:reply()
    reply:set_status(status)
    for _, name in ipairs(passed_on) do
        local value = first(headers, name)
        if value then
            reply:add_header(name, value)
        end
    end
    reply:set_body(body)
    txn:done(reply)
end

-- All values of a header, as they came.
local function given(headers, name)
    local values = {}
    for at = 0, #(headers[name] or {}) do
        values[#values + 1] = headers[name] and headers[name][at]
    end
    return values
end

core.register_action("keyfold", { "http-req" }, function(txn)
    local headers = txn.http:req_get_headers()
    local forwarded = given(headers, "x-forwarded-for")
    forwarded[#forwarded + 1] = txn.f:src()
    local question = {
        ["x-forwarded-method"] = { txn.f:method() },
        ["x-forwarded-uri"] = { txn.f:pathq() },
        ["x-forwarded-for"] = forwarded,
    }
    for _, name in ipairs({ "authorization", "x-api-key", "user-agent", "x-h2ogpte-internal-poll" }) do
        local values = given(headers, name)
        if #values > 0 then
            question[name] = values
        end
    end
    local asked, answer = pcall(function()
        return core.httpclient():get({ url = url, headers = question, timeout = 5000 })
    end)
    local status = asked and answer and answer.status or 0
    if status == 204 then
        for _, name in ipairs(identity) do
            txn.http:req_set_header(name, first(answer.headers, name) or "")
        end
        -- haproxy.cfg adds these to the application's answer.
        for name, variable in pairs({ ["ratelimit-policy"] = "txn.keyfold_ratelimit_policy", ratelimit = "txn.keyfold_ratelimit" }) do
            local value = first(answer.headers, name)
            if value then
                txn:set_var(variable, value)
            end
        end
    elseif status == 400 or status == 401 or status == 403 or status == 429 then
        refuse(txn, status, answer.headers, answer.body or "")
    else
        -- Not known is no.
        refuse(txn, 503, { ["content-type"] = { [0] = "application/problem+json" }, ["cache-control"] = { [0] = "no-store" } }, unavailable)
    end
end)
