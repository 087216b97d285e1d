# make run    the page, on the embedded default          make test   every test, embedded and real servers
# make check  ruff, mypy --strict, import contracts      make stack  real Kafka, MariaDB, HBase until Ctrl-C
# make chaos  breaks real servers, prints what was lost   make stack-stop  stops one left running
# make bench  side by side with peers, on real servers   make simulate  10,000 seeds of the fault simulator
PYTHON ?= python3
BIN = .venv/bin
INSTALLED = .venv/installed
INSTALLED_DEV = .venv/installed-dev

.PHONY: run check test stack stack-stop bench chaos simulate clean

run: $(INSTALLED)
	$(BIN)/playtrail up --demo

check: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: $(INSTALLED_DEV)
	$(BIN)/python -m tests.real.servers install
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

stack: $(INSTALLED_DEV)
	$(BIN)/python -m tests.real.servers run

stack-stop: $(INSTALLED_DEV)
	$(BIN)/python -m tests.real.servers stop

bench: $(INSTALLED_DEV)
	$(BIN)/python -m tests.real.servers install
	$(BIN)/python -m benchmarks

chaos: $(INSTALLED_DEV)
	$(BIN)/python -m tests.real.servers install
	$(BIN)/python -m tests.real.chaos --rounds 10

simulate: $(INSTALLED_DEV)
	$(BIN)/python -m tests.simulator --seeds 10000

$(BIN)/python:
	$(PYTHON) -m venv .venv

$(INSTALLED): setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --quiet --disable-pip-version-check --editable .
	@touch $@

$(INSTALLED_DEV): setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(INSTALLED)

clean:
	rm -rf .venv .stack build dist *.egg-info
