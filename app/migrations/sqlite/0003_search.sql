-- phase: expand
-- What the search needs in order to cost the same in a large blog as in a small one.

-- Whether and when a post is public, by its number: a search looks at many posts and shows ten.
CREATE INDEX posts_places ON posts(id, published_at) WHERE status = 'published' AND kind = 'post';

-- The words of the index in their order, for the beginning of one.
CREATE VIRTUAL TABLE post_vocabulary USING fts5vocab(post_terms, instance);

-- `blog migrate` indexes again the posts that were saved since this moment.
INSERT INTO site_state(name, value) VALUES ('indexed_until', 0);
