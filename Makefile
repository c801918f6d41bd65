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

.PHONY: help setup setup-dev run compile upload preflight test test-fast test-cluster test-browser test-faults test-load setup-browser coverage fuzz lint format lock bench bench-peers bench-gpu image sbom audit release clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'
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

# What a run's image is called where ARGS do not say it, e.g. make upload IMAGE=registry.example.org/team/tfjob-speedup:0.1.0
NAMED = TFJOB_SPEEDUP_IMAGE=$(IMAGE)
# A dollar in ARGS is the shell's, not make's: a person's --command may have one.
# KFP_ENDPOINT and its companions reach the programs as variables of make too: make run KFP_ENDPOINT=https://…
run: $(VENV)/ready ## Run the comparison here, or on the server KFP_ENDPOINT; the report is in runs/latest/
	@$(NAMED) $(BIN)/python -m pipeline.run $(value ARGS)

compile: $(VENV)/ready ## Write build/pipeline.yaml, for upload in the dashboard
	@$(NAMED) $(BIN)/python -m pipeline.compile $(ARGS)

upload: $(VENV)/ready ## Put the pipeline on the server KFP_ENDPOINT, without a run
	@$(NAMED) $(BIN)/python -m pipeline.upload $(ARGS)

preflight: $(VENV)/ready ## Check what a cluster needs for TFJobs; make preflight ARGS="--namespace team-a"
	@$(BIN)/python -m tfjob.preflight $(ARGS)

# How many processes test side by side: a number, or as many as this machine has CPUs.
JOBS ?= logical
SIDE_BY_SIDE := --numprocesses=$(JOBS) --maxprocesses=8 --dist=loadfile
# The tests of the statistics are those that `coverage` runs.
test: $(VENV)/ready-dev ## Run all tests, real distributed trainings among them; JOBS=1 runs one at a time
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m 'not browser' --ignore=tests/comparison/statistics
	@$(MAKE) --no-print-directory coverage

test-fast: $(VENV)/ready-dev ## Run the tests that start no TensorFlow
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m 'not slow and not browser'

# What the tests on a cluster run, and what their own commands must be run by to reach it (nothing where kubectl does).
TEST_IMAGE ?= $(IMAGE)
IN_CLUSTER ?=
ON_CLUSTER = TFJOB_TEST_IMAGE=$(TEST_IMAGE) $(IN_CLUSTER) $(BIN)/python -m pytest
ALONE := tests/cluster/test_api_server.py
# One process of tests trains, and fills two cores; the other's jobs do next to nothing.
test-cluster: $(VENV)/ready-dev ## Run the tests on the cluster of the current kubeconfig, on this machine, with IMAGE loaded
	@$(ON_CLUSTER) --numprocesses=$(JOBS) --maxprocesses=2 --dist=loadfile tests/cluster tests/conformance --ignore=$(ALONE)
	@$(ON_CLUSTER) $(ALONE)

test-browser: $(VENV)/ready-dev ## Look at the report in a real browser: accessibility, widths, print
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m browser tests/comparison/page

setup-browser: ## Install the browser that test-browser needs with apt-get, if there is none; as root
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v $$name >/dev/null && exit 0; done; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium

coverage: $(VENV)/ready-dev ## Check that the tests of the statistics take every branch; a part of `make test`
	@$(BIN)/python -m coverage run -m pytest --quiet tests/comparison/statistics
	@$(BIN)/python -m coverage report

# Tried in each test of bad bytes; a whole report, by far the slowest, is tried a hundredth as often.
FUZZ_EXAMPLES ?= 100000
fuzz: $(VENV)/ready-dev ## Feed bad bytes to everything that reads some, for an hour; `make test` tries a few hundred
	@FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest $(SIDE_BY_SIDE) tests/fuzz

# FULL=1 tries all of the matrix, for hours; without it a chosen part of it.
FULL ?=
test-faults: $(VENV)/ready-dev ## Kill and stop replicas, launcher and run; ten minutes, FULL=1 hours; writes docs/reliability.md
	@$(BIN)/python -m tests.faults $(if $(FULL),--full) --page docs/reliability.md $(ARGS)

test-load: $(VENV)/ready-dev ## Run the tests of load, minutes each; those on a cluster as test-cluster does
	@TFJOB_SPEEDUP_TEST_LOAD=1 $(if $(IN_CLUSTER),TFJOB_TEST_IMAGE=$(TEST_IMAGE) $(IN_CLUSTER)) $(BIN)/python -m pytest tests/load

lint: $(VENV)/ready-dev ## Check format, style and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(VENV)/ready-dev ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/ready-dev ## Measure what docs/performance.md reports; leave the machine alone meanwhile
	@$(BIN)/python -m benchmarks.measure

# What else the environment's pip is told, e.g. make bench-peers PEERS_FLAGS="--index-url https://…" for PyTorch without CUDA
PEERS_FLAGS ?=
PEERS := build/peers
$(PEERS)/ready:
	@test -n "$(PYTHON)" || { echo 'error: Python 3.11, 3.12 or 3.13 is needed; none was found.' >&2; exit 2; }
	@echo "Installing PyTorch into $(PEERS), some minutes …"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check install --quiet $(PEERS_FLAGS) numpy torch
	@touch $@

bench-peers: $(VENV)/ready-dev $(PEERS)/ready ## Measure the single node beside Keras' fit and PyTorch on one core
	@$(BIN)/python -m benchmarks.peers --pytorch $(PEERS)/bin/python $(ARGS)

bench-gpu: $(VENV)/ready-dev $(PEERS)/ready ## Measure the same on this machine's GPU, and run a whole comparison on it
	@$(BIN)/python -m benchmarks.gpu --pytorch $(PEERS)/bin/python $(ARGS)

UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: $(VENV)/ready-dev ## Renew the locks from pyproject.toml
	@$(UV_COMPILE) pyproject.toml --output-file requirements.lock
	@$(UV_COMPILE) --group dev --constraints requirements.lock --output-file requirements-dev.lock
	@echo 'tensorflow[and-cuda]' | $(UV_COMPILE) --constraints requirements.lock pyproject.toml - --output-file requirements-gpu.lock

# What builds the image: the first that answers. A docker client without its service does not.
BUILDER ?= $(shell for b in docker podman buildah; do $$b version >/dev/null 2>&1 && echo $$b && break; done)
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# The pipeline's default (components/image.py).
IMAGE ?= tfjob-speedup:$(VERSION)$(if $(GPU),-gpu)
# Further options of the builder, e.g. make image BUILD_FLAGS="--build-arg PYTHON_IMAGE=registry.example.org/python:3.11-slim"
BUILD_FLAGS ?=
# GPU=1 takes the libraries with CUDA's.
GPU ?=
# Handed on, by name, where the environment has them.
NETWORK := HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy \
	PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT

image: ## Build the container image of every step and replica
	@builder="$(BUILDER)"; \
	test -n "$$builder" || { echo 'error: docker, podman or buildah is needed to build the image; none answers. Install one, start the docker service, or name one: make image BUILDER=podman' >&2; exit 2; }; \
	test "$$builder" != buildah || layers=--layers; \
	echo "Building $(IMAGE) with $$builder, some minutes the first time …"; \
	$$builder build $${layers:-} --tag $(IMAGE) $(foreach name,$(NETWORK),$(if $($(name)),--build-arg $(name))) \
		--build-arg VERSION=$(VERSION) \
		--build-arg GIT_SHA=$$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || echo unknown) \
		$(if $(GPU),--build-arg REQUIREMENTS=requirements-gpu.lock) $(BUILD_FLAGS) .; \
	echo "$(IMAGE): $$($$builder images --format '{{.Size}}' $(IMAGE))"

# What is no part of the project's own environment; each is fetched when it is asked for.
SBOM_TOOL := cyclonedx-bom==7.5.0
AUDIT_TOOL := pip-audit==2.10.1
sbom: $(VENV)/ready-dev ## Write build/sbom.cdx.json, a CycloneDX list of all that a run installs
	@mkdir -p build
	@$(BIN)/uv tool run --quiet --from '$(SBOM_TOOL)' cyclonedx-py requirements requirements.lock --pyproject pyproject.toml \
		--output-reproducible --output-file build/sbom.cdx.json 2>&1 | { grep -v 'UserWarning: The Component this BOM\|^  warn($$' || true; }
	@echo "build/sbom.cdx.json: $$($(BIN)/python -c 'import json; print(len(json.load(open("build/sbom.cdx.json"))["components"]))') packages"

audit: $(VENV)/ready-dev ## Look the locked packages up among known vulnerabilities, where their database can be reached
	@$(BIN)/uv tool run --quiet '$(AUDIT_TOOL)' --requirement requirements.lock --require-hashes --disable-pip --strict

release: sbom ## Build the wheel, the source archive and the SBOM into build/release/
	@rm -rf build/release
	@$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir build/release
	@cp build/sbom.cdx.json build/release/tfjob-speedup-$(VERSION).cdx.json
	@ls build/release

clean: ## Remove .venv, build/ and caches; runs/ stays
	@rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
