# Every command of this repository. `make` lists them.
.DEFAULT_GOAL := help
PROFILE := dev
BIN := target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
SHELL := /bin/bash

.PHONY: help demo test test-previous test-cluster bench bench-blog build fmt lint clean cluster-up cluster-down

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

demo: build ## four releases on this machine, judged and told; KEEP=1 leaves it serving
	@$(BIN)/demo $(if $(KEEP),--keep) $(DEMO)

test: ## everything that CI checks: format, lints, documentation, licenses, all tests; each stage timed
	@tests/stages.sh

bench: tools ## the router beside HAProxy, nginx, Pingora, Envoy and the floor; BENCH="--scenarios tiny" measures less
	@load/bench/run $(BENCH)

build: tools ## build all programs
	@cargo build --quiet --workspace --bins --profile $(PROFILE)

test-previous: tools ## the blog's tests of before the newest migration, on the schema that it makes
	@tests/previous.sh

test-cluster: ## sentences shown on a real Kubernetes (root on Linux; the first time it compiles Kubernetes); FULL=1 for all
	@cargo test --workspace --test tutorial --test canary --test verbs

bench-blog: tools ## our blog beside a Django blog: requests, CPU and memory of the same pages (needs wrk and Python)
	@app/bench/bench.py prepare && app/bench/bench.py measure

cluster-up: ## a Kubernetes on this machine with blog, routers, promoter, PostgreSQL, Prometheus; prints the address
	@tests/cluster/demo

cluster-down: ## end it
	@tests/cluster/down demo

fmt: ## write the code in the house format
	@cargo fmt --all

lint: ## clippy as CI runs it
	@cargo clippy --workspace --all-targets -- -D warnings

clean: ## remove what was built
	@cargo clean

.PHONY: tools
tools:
	@command -v cargo >/dev/null || { echo "cargo is not installed: see https://rustup.rs, or your distribution's package rustup" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "no C compiler for SQLite: install gcc (Debian: apt-get install gcc libc6-dev)" >&2; exit 1; }
