# One vocabulary of tasks: CI, the hooks and the README call these and nothing else.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
# Arguments for the command, such as: make up ARGS="--port-offset 100"
ARGS ?=

.PHONY: help setup up down demo env backup restore test coverage e2e compose-test chart nightly lint format bench lock fallback docs clean

help: ## Show the tasks
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## Install everything into .venv (nothing else is touched)

.venv/.installed: requirements/dev.txt requirements/bootstrap.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; name one: make setup PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt; }
	@echo "Installing the pinned packages into .venv (the first time: some 500 MB to download) ..."
	@# Compiled once: where bytecode is not written (PYTHONDONTWRITEBYTECODE), each process would compile anew.
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

up: setup ## Start the whole stack, no Docker; Ctrl-C stops it
	@$(BIN)/presagio up $(ARGS)

down: setup ## Stop the stack; its data stay
	@$(BIN)/presagio down $(ARGS)

demo: setup ## Walk the whole loop on a running stack
	@$(BIN)/presagio demo $(ARGS)

env: ## Write .env with new secrets, for docker compose
	@$(PYTHON) deploy/make_env.py

backup: ## Save databases and buckets of docker compose: make backup ARGS=FOLDER
	@bash deploy/backup.sh save $(ARGS)

restore: ## Put a backup back in place of what is there: make restore ARGS=FOLDER
	@bash deploy/backup.sh restore $(ARGS)

# One process more than there are cores: tests wait for PostgreSQL, S3 and MLflow now and then.
WORKERS ?= $(shell expr $$(nproc) + 1)

# Threads of several processes would wait for each other on the same cores.
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 POLARS_MAX_THREADS=1

test: setup ## Unit and integration tests (real PostgreSQL, S3, MLflow)
	$(ONE_THREAD) $(BIN)/pytest -m "unit or integration" --ignore tests/e2e --numprocesses $(WORKERS) --dist worksteal $(COVERAGE) $(ARGS)

coverage: ## The same with coverage: 90 % of lines and branches at least
	$(MAKE) test COVERAGE="--cov --cov-report=term:skip-covered --cov-fail-under=90" ARGS="$(ARGS)"

e2e: setup ## End-to-end tests: the whole stack without Docker, Airflow included
	$(BIN)/pytest -o testpaths=tests/e2e -m e2e $(ARGS)

compose-test: setup ## End-to-end tests of what differs under docker compose (77: no engine to be had)
	bash deploy/compose_test.sh test $(ARGS)

# Helm and the checkers are fetched once, into .tools: 77 where they cannot be had.
chart: setup ## Check the Helm chart with values: make chart ARGS="--values FILE" (77: no Helm to be had)
	@bash deploy/chart/tools.sh
	@$(BIN)/python deploy/chart/check_chart.py $(or $(ARGS),--values tests/deploy/chart.yaml)

nightly: setup ## Everything in both worlds, for hours: docs/testing.md says what
	bash deploy/chart/tools.sh || [ $$? = 77 ]
	TEST_PROFILE=nightly $(MAKE) coverage ARGS="--timeout 7200"
	TEST_PROFILE=nightly $(MAKE) e2e
	TEST_PROFILE=nightly bash deploy/compose_test.sh test || [ $$? = 77 ]
	COMPOSE_TEST_WITH=celery bash deploy/compose_test.sh test tests/e2e/test_workers_in_containers.py || [ $$? = 77 ]

# Each part by itself: they run beside each other, and the slowest of them (types) sets the time.
LINTS := lint/style lint/format lint/spelling lint/types lint/imports lint/schemas lint/workflows lint/scripts lint/images lint/chart

lint: setup ## Style, spelling, types, packages, workflows, scripts, images
	@$(MAKE) --no-print-directory --jobs=$(words $(LINTS)) --keep-going $(LINTS)

lint/style: ; $(BIN)/ruff check .
lint/format: ; $(BIN)/ruff format --check .
lint/spelling: ; $(BIN)/codespell airflow bench deploy docs notebooks src tests *.md
lint/types: ; $(BIN)/mypy
lint/imports: ; $(BIN)/lint-imports
lint/workflows: ; $(BIN)/zizmor --offline --no-progress --quiet .github
lint/scripts: ; $(BIN)/shellcheck .ci/run deploy/*.sh deploy/*/*.sh
lint/images: ; $(BIN)/hadolint deploy/*/*.Dockerfile
# What is wrong with the templates themselves; whether they fit together is tested.
lint/chart: ; @[ ! -x .tools/chart/helm ] || .tools/chart/helm lint --quiet --strict deploy/chart --values tests/deploy/chart.yaml
lint/schemas:
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml deploy/compose.*.yaml deploy/standins/compose*.yaml tests/e2e/compose.yaml

format: setup ## Fix what a tool can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Measure, and write the results into docs/benchmarks.md
	$(BIN)/python -m bench $(ARGS)

lock: setup ## Pin all dependencies anew (hashes, no index addresses)
	$(BIN)/python requirements/lock.py

fallback: setup ## Make the artifact that ships with the package anew
	$(BIN)/presagio export-fallback src/presagio/inference/fallback

docs: setup ## Write the generated parts of the documents anew
	$(BIN)/python docs/generate.py

clean: ## Remove the environment and caches; data in .presagio stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis dist
