-- phase: expand
-- What imports brought, so that the same import again changes nothing; addresses that posts had on another blog; what
-- a program's token may do.

-- `source` names the other blog, `key` the post or comment there, `id` the row here.
CREATE TABLE imported (
  source TEXT NOT NULL,
  key TEXT NOT NULL,
  id BIGINT NOT NULL,
  PRIMARY KEY (source, key)
);

-- `path` has a slash at its start, none at its end, and no percent encoding.
CREATE TABLE path_redirects (
  path TEXT PRIMARY KEY,
  post_id BIGINT NOT NULL REFERENCES posts(id) ON DELETE CASCADE
);
CREATE INDEX path_redirects_by_post ON path_redirects(post_id);

ALTER TABLE api_tokens ADD COLUMN scope TEXT NOT NULL DEFAULT 'write' CHECK (scope IN ('read', 'write'));
