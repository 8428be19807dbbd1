# Bare `make` prints its targets. Each target does the set-up that it needs.
.DEFAULT_GOAL := help
VENV ?= .venv
BIN := $(VENV)/bin
# The first Python on PATH that is new enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done)
# One environment for both: what the demo needs is a part of what development needs.
DEMO := $(VENV)/.demo-installed
DEV := $(VENV)/.installed
SOURCES := bot handlers tests

.PHONY: help setup demo test check lint nightly soak bench pictures fmt lock clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEV) ## make .venv with everything pinned in it

define install
	@test -n "$(PYTHON)" || { echo "tflock needs Python 3.11 or newer on PATH; none was found. Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) (once; about a minute) …"
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r $(1)
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
endef

$(DEMO): requirements-demo.txt pyproject.toml
	$(call install,$<)
	@touch $@

$(DEV): requirements-dev.txt pyproject.toml
	$(call install,$<)
	@touch $@ $(DEMO)

demo: $(DEMO) ## play a real lock incident on this machine, no account needed
	@$(BIN)/python -m bot demo

# Half of the tests wait for other processes most of the time, so two cores carry four workers. tests/conftest.py mixes them.
test: $(DEV) ## everything that CI runs: lint, types, layers, tests against real servers
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not bench"

check: test ## the same as test

lint: $(DEV) ## ruff, mypy and import-linter
	@$(BIN)/ruff check --output-format concise $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# Measured 2026-11-22: 1,000 histories of people's actions take about 7 minutes of one core, those of the release less.
nightly: $(DEV) ## hunt unlocks for hours: 100,000 worlds of the model, 10,000 histories of each state machine
	@MODEL_WORLDS=100000 HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -q -n 2 --dist load --timeout 0 \
		tests/core/gate/test_holders_model.py tests/core/gate/test_properties.py
	@HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -q -n 2 --dist loadfile --timeout 0 \
		tests/usecases/unlock/test_release_machine.py tests/usecases/unlock/test_people_machine.py \
		tests/usecases/unlock/test_auto_release_machine.py tests/usecases/hold/test_hold_machine.py

soak: $(DEV) ## a busy week in an hour: what the processes and Redis hold, each minute
	@SOAK_MINUTES=60 $(BIN)/python -m pytest -s -q -m bench tests/bench/test_soak.py

bench: $(DEV) ## measure: each benchmark compares two things and prints a ratio
	@$(BIN)/python -m pytest -s -q -m bench tests/bench

pictures: $(DEV) ## draw the README's pictures again, with the bot's own words and exports
	@PICTURES=docs/images $(BIN)/python -m pytest -q tests/slack/render/test_picture.py tests/browser/test_record_picture.py

fmt: $(DEV) ## format the code
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix --quiet $(SOURCES)

LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade
lock: ## pin the newest dependencies with their hashes (needs uv): the product's, with the demo's, with development's
	$(LOCK) -o requirements.txt
	$(LOCK) --extra sandbox -c requirements.txt -o requirements-demo.txt
	$(LOCK) --extra sandbox --group dev -c requirements-demo.txt -o requirements-dev.txt

clean: ## remove what the targets made
	rm -rf $(VENV) var exports build *.egg-info .mypy_cache .ruff_cache .hypothesis
