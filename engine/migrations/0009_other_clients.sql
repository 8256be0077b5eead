-- What clients of other products rely on.

-- Whoever stopped the key was told that it is for good.
ALTER TABLE keys ADD COLUMN stopped_for_good BOOLEAN NOT NULL DEFAULT FALSE;

-- A session of another product's page is bound to one workspace and opens nothing else. NULL: a session of our own pages.
ALTER TABLE sessions ADD COLUMN workspace_id TEXT REFERENCES workspaces (id);

ALTER TABLE resources ADD COLUMN description TEXT NOT NULL DEFAULT '';

-- What another product's client keeps with a key that it made, as JSON in its own words.
CREATE TABLE client_settings (
    key_id TEXT PRIMARY KEY REFERENCES keys (id),
    client TEXT NOT NULL,
    settings TEXT NOT NULL
);
