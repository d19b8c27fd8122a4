# The commands for working with this repository. `make` without a target lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
export PORT
# With this variable, each of the dozens of processes that the tests start would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run stack check test test-quick test-sqlite test-postgresql coverage samples bench screenshot image prove \
  format lint types lock credentials clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

run: $(VENV)/.base ## install what is missing, then serve the admin and the API on PORT (default 8000) and run a worker
	@$(BIN)/python manage.py quickstart
	@echo "Serving http://localhost:$(PORT)/ (admin) and http://localhost:$(PORT)/api/docs/ (API). Press Ctrl-C to stop."
	@exec $(BIN)/honcho start --no-prefix

stack: docker/.env ## run the service, a worker, PostgreSQL, Redis and S3 as containers, on PORT (default 8000; needs docker compose)
	docker compose --env-file docker/.env --file docker/compose.yaml up --build

docker/.env:
	@(umask 077; for name in SECRET_KEY DATABASE_PASSWORD ADMIN_PASSWORD S3_PASSWORD; do \
	  echo "$$name=$$(openssl rand -hex 24)"; done; echo "S3_KEY=facerec:$$(openssl rand -base64 32)") > $@
	@echo "docker/.env contains the passwords of this stack. Log in as admin with ADMIN_PASSWORD."

check: lint ## run lint, types and the quick tests; use it before each commit
	@$(MAKE) --no-print-directory --jobs=2 types test-quick

test: ## install what is missing, then run all tests on SQLite, and the tests that depend on the database on PostgreSQL
	@$(MAKE) --no-print-directory test-sqlite
	@$(MAKE) --no-print-directory test-postgresql

test-quick: samples ## run the quick tests on SQLite
	$(BIN)/python -m pytest --quiet -m "not slow" $(ARGS)

test-sqlite: samples ## run all tests on SQLite (ARGS="tests/x.py -k name" selects tests)
	@echo "On SQLite:"
	$(BIN)/python -m pytest $(ARGS)

coverage: samples ## run all tests on SQLite and fail if branch coverage is below 90% (takes twice as long)
	$(BIN)/python -m pytest --cov --cov-report=term

test-postgresql: samples ## run the tests that depend on the database on PostgreSQL
	@echo "On PostgreSQL:"
	$(BIN)/python -m tests.postgresql $(BIN)/python -m pytest -m database $(ARGS) || test $$? -eq 5 # no tests selected

samples: $(VENV)/.dev ## download the models and the sample photos
	@$(BIN)/python manage.py fetch_models
	@$(BIN)/python manage.py fetch_samples

bench: samples ## measure speed on one core and over HTTP, and compare it with face_recognition and OpenCV's classes (takes 20 minutes)
	$(BIN)/python manage.py benchmark --cores 0 --against face_recognition --against plain \
	  --rounds 20 --search 1000,10000,100000,1000000 --http 100000 --seconds 600 \
	  --json var/benchmark.json --chart benchmark/chart.svg

screenshot: samples ## take the README's screenshot of the admin, with the sample photos (needs Chromium and ChromeDriver)
	$(BIN)/python -m tests.screenshot

image: $(VENV)/.dev ## build the image without Docker, run it read-only and test it (needs root, buildah, mmdebstrap and bubblewrap)
	@$(BIN)/python manage.py fetch_samples
	$(BIN)/python -m tests.prove_image

prove: $(VENV)/.dev ## run the long tests: 200 kills on each database, faults of the remote index, a large import (takes an hour)
	$(BIN)/python -m tests.prove_kills --kills 200
	$(BIN)/python -m tests.postgresql $(BIN)/python -m tests.prove_kills --kills 200
	$(BIN)/python -m tests.prove_index --operations 1000
	$(BIN)/python -m tests.prove_import

format: $(VENV)/.dev ## format the code and fix its style with ruff
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.dev ## check style, import directions, texts, missing migrations, the OpenAPI document, Dockerfile, compose file and workflows
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

types: $(VENV)/.dev ## check the types with mypy
	$(BIN)/mypy

lock: $(VENV)/.dev ## compile requirements/*.in into .txt files with pinned versions and hashes
	cd requirements && for name in base production deploy dev; do \
	  ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $$name.in -o $$name.txt; done
	cd requirements && ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-deps dlib.in -o dlib.txt

credentials: $(VENV)/.base ## reset the administrator's password and create an API key
	@$(BIN)/python manage.py new_credentials

clean: ## delete the Python environment and the caches, but not var/ (your data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage

$(VENV)/bin/python:
	@echo "Creating the Python environment in $(VENV) …"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is required. Pass one: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: requirements/base.txt | $(VENV)/bin/python
	@echo "Installing the packages of the service (takes about a minute) …"
	$(PIP) install --progress-bar on --require-hashes -r requirements/base.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/production.txt requirements/dlib.txt $(VENV)/.base
	@echo "Installing the packages for development …"
	$(PIP) install --progress-bar on --require-hashes -r requirements/production.txt -r requirements/dev.txt
	$(PIP) install --progress-bar on --require-hashes --no-deps -r requirements/dlib.txt
	@touch $@
