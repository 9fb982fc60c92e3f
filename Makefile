# Two commands do everything: `make demo` and `make test`. Both set up what they need and say so.
VENV := .venv
BIN := $(VENV)/bin
BIGQUERY := .venv-bigquery
STAMP := $(VENV)/.installed
SEED ?= 1
SEEDS ?= 20000
N ?= 100000

.DEFAULT_GOAL := help
.PHONY: help setup compiled system postgres strace bigquery chromium demo test lint check fuzz soak bench kills lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP) ## create .venv and install the pinned dependencies

$(STAMP): requirements.lock pyproject.toml scripts/setup.sh
	@sh scripts/setup.sh $(VENV)
	@touch $@

postgres: ## PostgreSQL's server programs, which the tests start servers of their own from
	@sh scripts/postgres.sh

strace: ## strace, with which the tests record what would survive a power cut
	@sh scripts/strace.sh

bigquery: $(BIGQUERY)/.installed ## the BigQuery emulator of the tests, in an environment of its own

$(BIGQUERY)/.installed: tests/support/bigquery-emulator.lock scripts/bigquery.sh
	@sh scripts/bigquery.sh $(BIGQUERY)
	@touch $@

chromium: ## the browser in which the tests walk the dashboard
	@sh scripts/chromium.sh

demo: setup ## the main job on the simulated Polymarket, compared with its truth (SEED=2: another universe)
	@$(BIN)/polyhouse demo --seed $(SEED)

test: ## lint, types and all tests
	@$(MAKE) -j 2 lint compiled system bigquery
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -q

compiled: setup
	@# What is compiled is kept, wherever that is switched off: the tests start some hundred processes. To collect them
	@# compiles once what all processes of the tests would compile at the same time.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --collect-only -q > $(VENV)/collected || { cat $(VENV)/collected; exit 1; }

system: ## the system packages that the tests need: PostgreSQL, strace, Chromium
	@# One after the other: they share the package manager.
	@for part in postgres strace chromium; do sh scripts/$$part.sh || exit; done

lint: setup ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fuzz: setup ## N spoiled inputs through every parser, on all cores (N=1000000)
	@$(BIN)/python tests/fuzz/fuzz_run.py --inputs $(N)

soak: setup ## many schedules of faults on all cores (SEEDS=50000: so many; SEED=4711: that one again)
	@$(BIN)/python tests/faults/soak.py $(if $(filter command\ line environment,$(origin SEED)),--seed $(SEED),--seeds $(SEEDS))

bench: setup ## ratios against a floor measured in the same run
	@$(BIN)/python -m benchmarks

kills: setup ## kill N commands (1000 unless given), finish them, and compare every table; kills.jsonl goes on
	@PYTHONPATH=src $(BIN)/python -m tests.kills.killing --kills $(or $(N),1000) --lanes 2 --to kills.jsonl

lock: setup ## resolve the dependencies again (no registry address is written)
	@$(BIN)/python -m pip install -q uv
	@$(BIN)/uv pip compile -q pyproject.toml --group dev --no-emit-index-url --no-header --generate-hashes -o requirements.lock
	@$(BIN)/uv pip compile -q tests/support/bigquery-emulator.in --no-emit-index-url --no-header --generate-hashes -o tests/support/bigquery-emulator.lock
	@echo uv | $(BIN)/uv pip compile -q - --no-emit-index-url --no-header --no-annotate --generate-hashes -o scripts/uv.lock

clean: ## remove .venv and caches
	rm -rf $(VENV) $(BIGQUERY) .mypy_cache .ruff_cache .pytest_cache .hypothesis
