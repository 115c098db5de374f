# What there is to do with Holdfast. `make` lists it.

BIN := $(or $(CARGO_TARGET_DIR),target)/debug
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release
CARGO ?= cargo

# Tools from PyPI lie outside the clone, each list in an environment named after its contents. The
# linker's path is part of what Cargo takes for a change, so another list for building means building
# everything again: hence a list of its own.
CACHE := $(or $(HOLDFAST_CI_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/holdfast-ci)
environment = $(CACHE)/$(1)-$(shell cksum <$(2) | cut -d ' ' -f 1)
BUILD_TOOLS := $(call environment,build-tools,infra/build-tools.txt)
DEPLOY_TOOLS := $(call environment,deploy-tools,infra/deploy-tools.txt)
MINISTACK := $(call environment,ministack,tests/deploy/tools.txt)
BOTO3 := $(call environment,boto3,tests/bench/requirements.txt)

FUNCTIONS := $(notdir $(patsubst %/,%,$(wildcard functions/*/)))
# What the functions are built for and deployed as, in Lambda's words.
ARCH ?= arm64
HOST_ARCH := $(patsubst aarch64,arm64,$(shell uname -m))
TRIPLE_arm64 := aarch64-unknown-linux-gnu
TRIPLE_x86_64 := x86_64-unknown-linux-gnu
TRIPLE = $(or $(TRIPLE_$(ARCH)),$(error ARCH is $(ARCH); it must be arm64 or x86_64))
export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: help demo local invoke build-debug test witness fmt lint deny build validate deploy test-deploy ci clean-local

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: build-debug ## Six weeks of backups, a clean-up and some AMIs, told step by step; needs Rust alone
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
	@echo "Building and testing everything: a quarter of an hour the first time, some five minutes after that." >&2
	@$(CARGO) build --locked --workspace --bins
	@$(CARGO) test --locked --workspace

SOAK ?= 20

.PHONY: soak
soak: ## Run the property tests and the killed sweeps over and over, in new random worlds (SOAK=20 times)
	@$(CARGO) test --locked -p holdfast-core -p holdfast-sim --no-run
	@$(CARGO) test --locked --workspace --test sweep_crashes --no-run
	@for round in $$(seq $(SOAK)); do echo "Round $$round of $(SOAK)" >&2; \
		$(CARGO) test --quiet --locked -p holdfast-core -p holdfast-sim || exit 1; \
		HOLDFAST_FIRST_SEED=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ') \
			$(CARGO) test --quiet --locked --workspace --test sweep_crashes || exit 1; done

.PHONY: witness
witness: ## Ask the simulated account and moto the same; needs Python 3
	@tests/witness/run.sh

# The functions as they are deployed: built together, so that Cargo gives their dependencies the same
# features.
.PHONY: bench
bench: $(BOTO3)/ready ## Time and memory of a sweep of 100,000 snapshots, pace of 1,000 sets; release build, ten minutes after it
	@echo "Building in release. The first build takes a quarter of an hour or more." >&2
	@$(CARGO) build --quiet --release --locked $(addprefix --package ,$(FUNCTIONS))
	@$(CARGO) build --quiet --release --locked --package holdfast-cli
	@$(CARGO) build --quiet --release --locked --package holdfast-bench
	@$(RELEASE)/holdfast-bench --sweep $(RELEASE)/sweep-retention --create $(RELEASE)/create-snapshots \
		--holdfast $(RELEASE)/holdfast --python $(BOTO3)/bin/python $(BENCH)

# Nothing is downloaded but one package of npm's, pinned with its hash; the browser is Debian's.
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
REPORT_PAGES = $(abspath $(or $(CARGO_TARGET_DIR),target))/tmp/report

.PHONY: test-report
test-report: ## Open the pages of holdfast report in a headless Chromium; needs Node 20 and Debian's chromium
	@command -v node >/dev/null && command -v npm >/dev/null || \
		{ echo "test-report needs Node 20 or newer with npm" >&2; exit 1; }
	@[ -n "$(CHROMIUM)" ] || { echo "test-report needs Chromium: apt-get install chromium, or CHROMIUM=/path/to/it" >&2; exit 1; }
	@$(CARGO) build --locked --workspace --bins
	@$(CARGO) test --locked --workspace --test report
	@cd tests/report && npm ci --silent --no-audit --no-fund --ignore-scripts
	@cd tests/report && CHROMIUM="$(CHROMIUM)" REPORT_PAGES="$(REPORT_PAGES)" REPORT_SHOTS="$(REPORT_PAGES)/shots" \
		node --test --test-reporter=spec page.test.mjs

fmt: ## Format the code
	@$(CARGO) fmt --all

lint: ## Check formatting and lints
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

deny: ## Check licences, sources and banned crates; needs cargo-deny
	@$(CARGO) deny --offline check licenses bans sources

# Release profile as in Cargo.toml, not cargo-lambda's own. Its check of the target asks rustup to
# download; where the target is installed that is not needed.
build: $(BUILD_TOOLS)/ready ## Build the functions for Lambda, in release (ARCH=arm64 or x86_64)
	@echo "Building $(FUNCTIONS) for $(ARCH). The first build takes a quarter of an hour or more." >&2
	@export PATH="$(BUILD_TOOLS)/bin:$$PATH"; check=; \
	if [ -d "$$(rustc --print target-libdir --target $(TRIPLE))" ]; then check=--skip-target-check; fi; \
	$(CARGO) lambda build --release --locked --disable-optimizations --target $(TRIPLE) $$check \
		--lambda-dir target/lambda $(addprefix --package ,$(FUNCTIONS))
	@zip=$$(mktemp) && for name in $(FUNCTIONS); do \
		$(BUILD_TOOLS)/bin/python -m zipfile -c "$$zip" "target/lambda/$$name/bootstrap" && \
		printf '%-20s %8d bytes zipped\n' "$$name" "$$(wc -c <"$$zip")"; done; rm -f "$$zip"

# SAM reads AWS_DEFAULT_REGION and the profile, but not AWS_REGION.
REGION = $(addprefix --region ,$(AWS_REGION))

validate: $(DEPLOY_TOOLS)/ready ## Check the policy file to be deployed and the template; builds holdfast for that
	@echo "Building holdfast (debug) to check the policy file: some minutes the first time." >&2
	@$(CARGO) build --quiet --locked --workspace --bin holdfast
	@$(BIN)/holdfast policies check infra/layer/holdfast/policies.yaml
	@$(DEPLOY_TOOLS)/bin/shellcheck infra/ssm/freeze.sh
	@$(DEPLOY_TOOLS)/bin/cfn-lint infra/template.yaml
	@$(DEPLOY_TOOLS)/bin/sam validate --lint --region $(or $(AWS_REGION),$(AWS_DEFAULT_REGION),us-east-1) --template-file infra/template.yaml

deploy: validate build ## Validate, build, deploy (ARCH=…, PARAMETERS="Mode=enforce …")
	@$(DEPLOY_TOOLS)/bin/sam deploy $(REGION) --template-file infra/template.yaml \
		--config-file "$(CURDIR)/infra/samconfig.toml" \
		--parameter-overrides 'Architecture=$(ARCH) $(PARAMETERS)'

test-deploy: ARCH = $(HOST_ARCH)
test-deploy: build $(DEPLOY_TOOLS)/ready $(MINISTACK)/ready ## Deploy the template onto MiniStack and let an event make a snapshot
	@$(CARGO) build --quiet --locked --workspace --bins
	@$(MINISTACK)/bin/python tests/deploy/deployment.py --sam $(DEPLOY_TOOLS)/bin/sam --binaries $(BIN) \
		--architecture $(ARCH)

# An environment with what the file $(1) lists.
define install
	@echo "Installing what $(1) lists." >&2
	@rm -rf "$(@D)" && python3 -m venv "$(@D)"
	@"$(@D)/bin/pip" install --quiet --disable-pip-version-check --requirement "$(1)"
	@touch "$@"
endef

$(BUILD_TOOLS)/ready:
	$(call install,infra/build-tools.txt)

$(DEPLOY_TOOLS)/ready:
	$(call install,infra/deploy-tools.txt)

$(MINISTACK)/ready:
	$(call install,tests/deploy/tools.txt)

$(BOTO3)/ready:
	$(call install,tests/bench/requirements.txt)

ci: ## Everything that continuous integration checks
	@.ci/run

clean-local: ## Remove what the local AWS keeps on disk
	rm -rf .local
