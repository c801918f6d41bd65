# Everything happens in .venv, made from the locks; nothing is installed outside this folder.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first interpreter that the lock was made for; PYTHON=/path/to/python3.12 chooses another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Parameters of the run, e.g. make run ARGS="--workers 1 2 --trials 3"
ARGS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help setup setup-dev run compile test test-fast lint format lock bench clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'
	@echo
	@echo '  Parameters of a run: make run ARGS="--workers 1 2 --trials 3"'
	@echo '  All of them:         make run ARGS=--help'

setup: $(VENV)/ready ## Install what a run needs into .venv

setup-dev: $(VENV)/ready-dev

$(VENV)/ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo 'error: Python 3.11, 3.12 or 3.13 is needed; none was found. Install one, or name it: make PYTHON=/path/to/python3.11' >&2; exit 2; }
	@echo "Installing into $(VENV) with $$($(PYTHON) --version), a minute or two …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --require-hashes -r requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready requirements-dev.lock
	@$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

run: $(VENV)/ready ## Run the comparison on this machine; the report is in runs/latest/
	@$(BIN)/python -m pipeline.run $(ARGS)

compile: $(VENV)/ready ## Write build/pipeline.yaml, for upload in the dashboard
	@$(BIN)/python -m pipeline.compile

test: $(VENV)/ready-dev ## Run all tests, real distributed trainings among them
	@$(BIN)/python -m pytest

test-fast: $(VENV)/ready-dev ## Run the tests that start no TensorFlow
	@$(BIN)/python -m pytest -m 'not slow'

lint: $(VENV)/ready-dev ## Check format, style and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(VENV)/ready-dev ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/ready-dev ## Measure what docs/performance.md reports; leave the machine alone meanwhile
	@$(BIN)/python -m benchmarks.measure

UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: $(VENV)/ready-dev ## Renew the locks from pyproject.toml
	@$(UV_COMPILE) pyproject.toml --output-file requirements.lock
	@$(UV_COMPILE) --group dev --constraints requirements.lock --output-file requirements-dev.lock

clean: ## Remove .venv, build/ and caches; runs/ stays
	@rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
