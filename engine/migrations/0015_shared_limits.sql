-- What servers hold of quotas that they spend together. Only on a database that several servers can use.
CREATE TABLE limit_leases (
    -- As in limit_usage.
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    node TEXT NOT NULL,
    -- Units that count as taken: spent by the server without a note in limit_usage, or to be spent.
    units BIGINT NOT NULL,
    -- When the server needed more than there was, by the database's clock; 0 for not since it got some.
    wanted_at BIGINT NOT NULL,
    PRIMARY KEY (subject, name, node)
);
CREATE INDEX limit_leases_by_node ON limit_leases (node);
CREATE INDEX limit_leases_wanted ON limit_leases (wanted_at) WHERE wanted_at > 0;

-- How a server counts: 0 not said yet, 1 alone, 2 by leases, 3 not any more, because nothing was heard of it.
ALTER TABLE nodes ADD COLUMN counting BIGINT NOT NULL DEFAULT 0;

-- Does a server go on answering about this workspace's keys, from what it knew last, when it has lost touch with the database?
ALTER TABLE workspaces ADD COLUMN keep_answering BOOLEAN NOT NULL DEFAULT FALSE;
