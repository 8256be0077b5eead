# The only entry point, for people and for the build server. Each target is a script in scripts/; `make help` lists them.
# ARGS are passed on: make run ARGS="--addr 127.0.0.1:8080"

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run build dev test check e2e clients screenshots soak bench fmt generate clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: ## install what is missing, build, and serve on http://127.0.0.1:3000
	@scripts/run.sh $(ARGS)

build: ## build the one binary with the site inside: target/release/keyfold
	@scripts/build.sh $(ARGS)

dev: ## serve a debug build, and rebuild it when a file changes
	@scripts/dev.sh $(ARGS)

test: ## all checks and all tests, on SQLite, PostgreSQL and in a browser
	@scripts/test.sh

check: ## formatting, lints, licences, documentation, generated files
	@scripts/check.sh

e2e: ## the tests in a real browser only
	@scripts/e2e.sh

clients: ## the tests with the unmodified clients of other products only
	@scripts/clients.sh

screenshots: ## take the pictures of docs/ again
	@scripts/e2e.sh screenshots

soak: ## what takes too long for every change: 10,000 requests as each role, 100 kills of a server, three servers under faults
	@scripts/soak.sh $(ARGS)

bench: ## measure: weight of the site, verify throughput, creation, start, memory
	@scripts/bench.sh $(ARGS)

fmt: ## format the Rust code
	@. scripts/lib.sh && use_toolchain && cargo fmt --all

generate: ## write the committed files that are generated from the code
	@scripts/generate.sh

clean: ## remove all that was built in this folder; data/ stays
	@rm -rf target tools/site/node_modules end2end/node_modules end2end/test-results
	@echo "kept: data/, and the tools in $${XDG_CACHE_HOME:-$$HOME/.cache}/keyfold"
