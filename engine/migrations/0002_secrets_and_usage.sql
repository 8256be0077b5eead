-- Several secrets of a key, and what is counted of their use.

-- NULL: the current secret. `ended` is set where somebody ended it at once, and later for every secret whose time is
-- over, so that no step of a clock brings it back.
ALTER TABLE secrets ADD COLUMN ends_at BIGINT;
ALTER TABLE secrets ADD COLUMN ended BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE secrets ADD COLUMN last_used_at BIGINT;
ALTER TABLE secrets ADD COLUMN total_calls BIGINT NOT NULL DEFAULT 0;
-- When the last of the older secrets ends; NULL if there never was one.
ALTER TABLE keys ADD COLUMN rotating_until BIGINT;
-- Since when the key holds the scopes it has; NULL since its creation.
ALTER TABLE keys ADD COLUMN scopes_at BIGINT;

UPDATE secrets SET
    last_used_at = (SELECT keys.last_used_at FROM keys WHERE keys.id = secrets.key_id),
    total_calls = (SELECT keys.total_calls FROM keys WHERE keys.id = secrets.key_id);
-- What scopes were asked for is counted from this upgrade on, which is not earlier than the last event before it.
UPDATE keys SET scopes_at = (SELECT MAX(audit_events.at) FROM audit_events);

CREATE UNIQUE INDEX secrets_current ON secrets (key_id) WHERE ends_at IS NULL;
CREATE INDEX secrets_retiring ON secrets (key_id) WHERE ends_at IS NOT NULL AND NOT ended;

-- Statistics refer to keys and secrets by name only: a count must never stop the flush that carries it.

-- How often a verdict was given, by hours since the epoch; 'valid' is a call.
CREATE TABLE key_usage (
    key_id TEXT NOT NULL,
    hour BIGINT NOT NULL,
    code TEXT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (key_id, hour, code)
);
CREATE INDEX key_usage_by_hour ON key_usage (hour);

-- How often a scope was asked for with success, by days since the epoch.
CREATE TABLE scope_usage (
    key_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    day BIGINT NOT NULL,
    count BIGINT NOT NULL,
    last_asked_at BIGINT NOT NULL,
    PRIMARY KEY (key_id, scope, day)
);
CREATE INDEX scope_usage_by_day ON scope_usage (day);

-- Who used a secret after it was replaced. An empty text is one that was not told.
CREATE TABLE secret_clients (
    secret_id TEXT NOT NULL,
    ip TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    PRIMARY KEY (secret_id, ip, user_agent)
);
