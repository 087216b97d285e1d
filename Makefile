# make run    the page, on the embedded default          make test   every test, embedded and real servers
# make check  ruff, mypy --strict, import contracts      make stack  real Kafka, MariaDB, HBase until Ctrl-C
# make bench  benchmarks side by side with peers         make stack-stop  stops one left running
PYTHON ?= python3
BIN = .venv/bin
INSTALLED = .venv/installed
INSTALLED_DEV = .venv/installed-dev

.PHONY: run check test stack stack-stop clean

run: $(INSTALLED)
	$(BIN)/playtrail up --demo

check: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: $(INSTALLED_DEV)
	$(BIN)/python -m tests.real.servers install
	$(BIN)/pytest

stack: $(INSTALLED_DEV)
	$(BIN)/python -m tests.real.servers run

stack-stop: $(INSTALLED_DEV)
	$(BIN)/python -m tests.real.servers stop

$(BIN)/python:
	$(PYTHON) -m venv .venv

$(INSTALLED): setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(INSTALLED_DEV): setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(INSTALLED)

clean:
	rm -rf .venv .stack build dist *.egg-info
