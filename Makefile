# Everything a person does with this repository. `make` alone lists it.
.DEFAULT_GOAL := help
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
export PORT
# The tests start dozens of processes, each of which would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run stack check test test-quick test-sqlite test-postgresql coverage samples bench screenshot image prove \
  format lint types lock credentials clean

help: ## list what make can do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.base ## set up what is missing, then serve admin, API and worker on PORT (8000)
	@$(BIN)/python manage.py quickstart
	@echo "Serving http://localhost:$(PORT)/ (admin) and http://localhost:$(PORT)/api/docs/ — Ctrl-C stops it."
	@exec $(BIN)/honcho start --no-prefix

stack: docker/.env ## PostgreSQL, Redis, S3, service and worker as containers (needs docker compose), on PORT (8000)
	docker compose --env-file docker/.env --file docker/compose.yaml up --build

docker/.env:
	@(umask 077; for name in SECRET_KEY DATABASE_PASSWORD ADMIN_PASSWORD S3_PASSWORD; do \
	  echo "$$name=$$(openssl rand -hex 24)"; done; echo "S3_KEY=facerec:$$(openssl rand -base64 32)") > $@
	@echo "docker/.env holds this stack's passwords; ADMIN_PASSWORD is that of the administrator admin."

check: lint ## before each commit: lint, types and the quick tests (90 seconds on two cores)
	@$(MAKE) --no-print-directory --jobs=2 types test-quick

test: ## set up what is missing, then run the test suite on SQLite, and on PostgreSQL what depends on the database
	@$(MAKE) --no-print-directory test-sqlite
	@$(MAKE) --no-print-directory test-postgresql

test-quick: samples ## the tests that take no seconds, on SQLite
	$(BIN)/python -m pytest --quiet -m "not slow" $(ARGS)

test-sqlite: samples ## all tests, on SQLite (ARGS="tests/x.py -k name" for some of them)
	@echo "On SQLite:"
	$(BIN)/python -m pytest $(ARGS)

coverage: samples ## all tests, on SQLite, with branch coverage: at least 90 % (takes twice as long)
	$(BIN)/python -m pytest --cov --cov-report=term

test-postgresql: samples ## the tests that depend on the database, on PostgreSQL
	@echo "On PostgreSQL:"
	$(BIN)/python -m tests.postgresql $(BIN)/python -m pytest -m database $(ARGS) || test $$? -eq 5 # nothing to run

samples: $(VENV)/.dev
	@$(BIN)/python manage.py fetch_models
	@$(BIN)/python manage.py fetch_samples

bench: samples ## how fast it is on one core, next to face_recognition and OpenCV's own classes, and over HTTP (20 minutes)
	$(BIN)/python manage.py benchmark --cores 0 --against face_recognition --against plain \
	  --rounds 20 --search 1000,10000,100000,1000000 --http 100000 --seconds 600 \
	  --json var/benchmark.json --chart benchmark/chart.svg

screenshot: samples ## the README's picture of the admin, from the sample photos (needs Chromium and ChromeDriver)
	$(BIN)/python -m tests.screenshot

image: $(VENV)/.dev ## build the image without Docker, run it read-only and try it (root; Debian's buildah, mmdebstrap, bubblewrap)
	@$(BIN)/python manage.py fetch_samples
	$(BIN)/python -m tests.prove_image

prove: $(VENV)/.dev ## the long proofs: 200 kills on each database, faults of the remote index, a large import (an hour)
	$(BIN)/python -m tests.prove_kills --kills 200
	$(BIN)/python -m tests.postgresql $(BIN)/python -m tests.prove_kills --kills 200
	$(BIN)/python -m tests.prove_index --operations 1000
	$(BIN)/python -m tests.prove_import

format: $(VENV)/.dev ## have ruff mend style and format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.dev ## style, import directions, spelling, links and phrases, missing migrations, the API's schema, image, compose, workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m tests.check_documents
	$(BIN)/hadolint docker/api/Dockerfile
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker/compose.yaml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	ENVIRONMENT=test $(BIN)/python manage.py makemigrations --check --dry-run --skip-checks
	ENVIRONMENT=test $(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null
	ENVIRONMENT=test $(BIN)/python manage.py list_errors --check docs/errors.md

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

lock: $(VENV)/.dev ## compile requirements/*.in to pinned and hashed .txt
	cd requirements && for name in base production deploy dev; do \
	  ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $$name.in -o $$name.txt; done
	cd requirements && ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-deps dlib.in -o dlib.txt

credentials: $(VENV)/.base ## a new administrator's password and a new API key
	@$(BIN)/python manage.py new_credentials

clean: ## remove the environment and the caches; var/ (your data) stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage

$(VENV)/bin/python:
	@echo "Making the Python environment in $(VENV) …"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: requirements/base.txt | $(VENV)/bin/python
	@echo "Installing what the service needs (about a minute) …"
	$(PIP) install --progress-bar on --require-hashes -r requirements/base.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/production.txt requirements/dlib.txt $(VENV)/.base
	@echo "Installing what the tests need …"
	$(PIP) install --progress-bar on --require-hashes -r requirements/production.txt -r requirements/dev.txt
	$(PIP) install --progress-bar on --require-hashes --no-deps -r requirements/dlib.txt
	@touch $@
