# Everything starts here: `make demo` to see it, `make test` to trust it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python manage.py
DEMO := DEMO=true

.PHONY: help demo demo-reset test test-fast recordings lint format bench dbt env chromium bigquery clean

help:  ## What there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.runtime  ## The portal with a simulated company on this machine
	@$(DEMO) $(RUN) demo

demo-reset: $(VENV)/.runtime  ## Forget the demo's data and begin again
	@$(DEMO) $(RUN) demo_reset
	@$(DEMO) $(RUN) demo

# A third process works while the others wait: for a browser, for a worker to die, for a second to pass.
test: env chromium bigquery  ## Lint, types and every test
	@bin/check
	@$(BIN)/pytest -q -n 3 --dist loadfile

test-fast: env  ## Lint (but for SQL: make lint), types and the tests that need no real parts
	@said=$$(mktemp); bin/check fast >$$said 2>&1 & \
	$(BIN)/pytest -q -n 2 --dist loadfile -m "not slow"; tests=$$?; \
	wait $$!; checks=$$?; cat $$said; rm $$said; exit $$((tests + checks))

recordings: env  ## The table of recorded answers and whether we read them right
	@$(BIN)/pytest -q -n 2 -m recording --recordings

lint: env  ## Style, types, layers, templates, SQL, migrations
	@bin/check

format: env  ## Put the code in order
	@$(BIN)/ruff check -q --fix . && $(BIN)/ruff format -q .

bench: env  ## The ratios that README speaks of
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-bench.txt
	@$(BIN)/python -m bench.pipeline && $(BIN)/python -m bench.sources && $(BIN)/python -m bench.cdc && $(BIN)/python -m bench.pages && $(BIN)/python -m bench.idle && $(BIN)/python -m bench.dbt

dbt: env  ## dbt on the demo's warehouse: make dbt ARGS="build --select mrr_events"
	@$(DEMO) $(RUN) dbt -- $(ARGS)

env: $(VENV)/.dev

$(VENV)/.runtime: requirements.txt requirements-nodeps.txt bin/environment
	@PYTHON="$(PYTHON)" bin/environment runtime

$(VENV)/.dev: requirements.txt requirements-nodeps.txt requirements-dev.txt bin/environment
	@PYTHON="$(PYTHON)" bin/environment dev

chromium:
	@bin/chromium

bigquery: env
	@bin/bigquery-emulator

clean:  ## Remove the environments (the demo's data stays)
	rm -rf $(VENV) .venv-bigquery
