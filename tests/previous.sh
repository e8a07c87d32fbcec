#!/usr/bin/env bash
# The blog's tests as they were before the newest migration, on the schema that it makes: what a gradual release rests on,
# since both releases then share one database. Those tests make their databases with the present program, which
# BLOG_TEST_MIGRATE_WITH names (app/tests/it/support.rs). Dependencies are taken from target/, so only the blog compiles.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

newest=$(find app/migrations/sqlite -name '*.sql' | sort | tail -1)
[ "$(git rev-parse --is-shallow-repository)" = false ] || { echo "skipped: this clone has no history to take the earlier tests from: git fetch --unshallow"; exit 0; }
added=$(git log --diff-filter=A --format=%H -- "$newest" | tail -1)
[ -n "$added" ] || { echo "skipped: $newest is in no commit yet"; exit 0; }
before=$(git rev-parse --verify "$added^")
[ -n "$(git ls-tree --name-only "$before" app/migrations/)" ] || { echo "skipped: $newest is the first migration"; exit 0; }

earlier=$root/target/previous/$before
if [ ! -e "$earlier/.whole" ]; then
    rm -rf "$root/target/previous"
    mkdir -p "$earlier"
    git archive "$before" | tar -x -C "$earlier"
    touch "$earlier/.whole"
fi
cargo build --quiet --workspace --exclude cluster --bin blog
echo "tests of $(git show --no-patch --format='%h (%s)' "$before") on the schema of $(basename "$newest")"
# The whole workspace is named, so that every dependency has the features with which it is compiled already. The tests of
# migrating itself are left out: they migrate with the earlier program, so they never meet the newer schema.
CARGO_TARGET_DIR=$root/target/previous/out CARGO_BUILD_BUILD_DIR=$root/target BLOG_TEST_MIGRATE_WITH=$root/target/debug/blog \
    cargo test --quiet --manifest-path "$earlier/Cargo.toml" --workspace --exclude cluster --exclude proxy --test it \
    -- --skip migrations
