-- Creates keys over REST until there are KEYS of them, in turn as each of the callers in CALLERS (a file, one secret a
-- line). Writes the new secrets to SECRETS and prints the rate. For wrk with one thread.
local callers, secrets, wanted, made, failed, sent, started = {}, nil, tonumber(os.getenv("KEYS")), 0, 0, 0, nil
for line in io.lines(os.getenv("CALLERS")) do callers[#callers + 1] = line end
local body = '{"name":"bench","kind":"secret","scopes":["inference"]}'

function init() secrets = io.open(os.getenv("SECRETS"), "w") end

function request()
  sent = sent + 1
  return wrk.format("POST", nil, {
    ["Authorization"] = "Bearer " .. callers[sent % #callers + 1],
    ["Content-Type"] = "application/json",
  }, body)
end

function response(status, _, answer)
  local secret = answer:match('"secret":"(kf_[^"]+)"')
  if status == 201 and secret then
    made = made + 1
    secrets:write(secret, "\n")
  else
    failed = failed + 1
    if failed == 1 then io.stderr:write("not created: ", status, " ", answer, "\n") end
  end
  if made + failed >= wanted then
    secrets:close()
    wrk.thread:stop()
  end
end

function done(summary)
  print(string.format("%.0f", summary.requests / (summary.duration / 1e6)))
end
