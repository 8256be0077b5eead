-- Who deactivated or deleted a key, as a name that outlives the person.

ALTER TABLE keys ADD COLUMN stopped_by TEXT;
