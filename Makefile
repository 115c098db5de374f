# What there is to do with Holdfast. `make` lists it.

BIN := $(or $(CARGO_TARGET_DIR),target)/debug
CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help demo local invoke build-debug test fmt lint deny ci clean-local

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: build-debug ## Six weeks of backups and a clean-up, told step by step; needs Rust alone
	@$(BIN)/demo

local: build-debug ## A local AWS with the demo's fleet, until Ctrl-C; prints the export lines
	@$(BIN)/local-aws

FUNCTION ?= create-snapshots
EVENT ?= events/$(FUNCTION)/valid/scheduled-event.json

invoke: build-debug ## One function, one event: make invoke FUNCTION=sweep-retention EVENT=events/…/x.json
	@$(BIN)/invoke $(FUNCTION) $(EVENT)

build-debug: ## Build every binary
	@echo "Building. The first build takes some minutes: the crate aws-sdk-ec2 is very large." >&2
	@$(CARGO) build --locked --workspace

test: ## Run all tests
	@echo "Building and testing everything: some minutes the first time, under a minute after that." >&2
	@$(CARGO) build --locked --workspace --bins
	@$(CARGO) test --locked --workspace

.PHONY: witness
witness: ## Ask the simulated account and moto the same; needs Python 3
	@tests/witness/run.sh

fmt: ## Format the code
	@$(CARGO) fmt --all

lint: ## Check formatting and lints
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --workspace --all-targets -- -D warnings

deny: ## Check licences, sources and banned crates; needs cargo-deny
	@$(CARGO) deny --offline check licenses bans sources

ci: ## Everything that continuous integration checks
	@.ci/run

clean-local: ## Remove what the local AWS keeps on disk
	rm -rf .local
