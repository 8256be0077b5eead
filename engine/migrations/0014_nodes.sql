-- The servers that run on this database. A row is written about once a second while its server lives.
CREATE TABLE nodes (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    -- By the database's clock, where it has one.
    last_seen_at BIGINT NOT NULL,
    -- The newest change that is in force there.
    applied BIGINT NOT NULL,
    -- The change of which somebody there waits to hear that it is in force everywhere.
    awaited BIGINT NOT NULL,
    -- How long the server says yes without news of changes, in milliseconds.
    budget_ms BIGINT NOT NULL
);
