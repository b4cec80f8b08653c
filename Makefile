# Everything from a fresh machine: each target first builds .venv if it is missing or out of date.

# The first Python that is new enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
JOBS ?= 2

.PHONY: demo test test-peers test-slow lint mutants fidelity bench clean

demo: .venv/installed-alpha
	$(BIN)/tilewright alpha demo

test: .venv/installed-dev
	$(BIN)/python -m pytest -n $(JOBS) -q

# What needs the heavy libraries that we are called by or compared with.
test-peers: .venv/installed-peers
	$(BIN)/python -m pytest -n $(JOBS) -q -m peers

# Statistics of whole posteriors and comparisons with other estimators: an hour or so.
test-slow: .venv/installed-dev
	$(BIN)/python -m pytest -q -m slow

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# Planted faults, one after the other, each against the tests of its folder. Takes its time.
mutants: .venv/installed-dev
	$(BIN)/python -m tests.mutants.run --jobs $(JOBS)

# Modelled times beside measured ones, on this host.
fidelity: .venv/installed-bench
	$(BIN)/python -m fidelity

bench: .venv/installed-bench
	$(BIN)/python -m tilewright.bench

# What a smaller set holds, a larger one holds too. Bytecode is made here, as some write none later.
.venv/installed-%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	$(BIN)/python -m compileall -q tilewright
	touch $@

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis
