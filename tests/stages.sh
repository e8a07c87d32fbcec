#!/usr/bin/env bash
# Everything that must hold before a change lands, one stage after the other. Prints how long each stage took.
# Installs what it needs itself: Debian packages when root, cargo-deny by cargo.
set -uo pipefail
cd "$(dirname "$0")/.."
# Documentation is built with private items, so links to them lead somewhere.
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto} INSTA_UPDATE=no RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links"
rm -f target/rows.txt
times=()
failed=0

stage() { # name, command ...
    local name=$1 from=$SECONDS result=passed
    shift
    printf '\n=== %s\n' "$name"
    "$@" || { result=FAILED failed=1; }
    times+=("$(printf '%6d s  %-12s %s' $((SECONDS - from)) "$name" "$result")")
    [ $result = passed ]
}

packages() { # what some tests need beside the Rust toolchain; without root those tests are skipped and say so
    local missing=()
    for package in gcc libc6-dev make chromium chromium-driver prometheus postgresql curl nghttp2-client; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    tests/cluster/packages "${missing[@]}" || echo "the tests that need them are skipped"
}

# The rows that are shown on a real Kubernetes; where none can run, each is skipped with the reason.
# The whole workspace is named, so that every dependency has the features with which it is compiled already.
rows() { cargo test --quiet --no-fail-fast --workspace --test tutorial --test canary --test verbs | tee target/rows.txt; }

deny() {
    # Optimised, its own build would take longer than the check ever will.
    command -v cargo-deny >/dev/null || CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
        cargo install --quiet --locked --no-default-features --version 0.20.2 cargo-deny || return
    cargo deny --log-level error check bans licenses sources
}

stage packages packages &&
stage fmt cargo fmt --all --check &&
stage build cargo build --quiet --workspace --all-targets &&
stage clippy cargo clippy --quiet --workspace --all-targets -- -D warnings &&
stage doc cargo doc --quiet --workspace --no-deps --document-private-items &&
stage deny deny &&
stage test cargo test --no-fail-fast --workspace --exclude cluster &&
stage previous tests/previous.sh &&
stage demo target/debug/demo --port 18080 --folder target/demo-ci &&
stage rows rows

[ ! -e target/rows.txt ] || grep -E '^[0-9]+ passed' target/rows.txt | sed 's/^/\non Kubernetes: /'
printf '\n=== stages\n'
printf '%s\n' "${times[@]}"
printf '%6d s  all\n' $SECONDS
exit $failed
