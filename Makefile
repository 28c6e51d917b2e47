# The two commands of a fresh machine are `make demo` and `make test`: each builds .venv (pip) if it is missing.
# Afterwards .venv/bin/holotype is the command.

PYTHON ?= python3
# Two processes of one thread each: torch's own threads gain nothing on the small tensors of the tests.
TEST_PROCESSES ?= 2
BIN := .venv/bin
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 POLARS_MAX_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help demo test test-lowest lowest test-slow chromium test-browser test-browser-again check bench systems docs site pictures clean

help:
	@echo "make demo        train on simulated cells, write scores, a submission and a report (no network)"
	@echo "make test        the tests"
	@echo "make test-lowest  the tests with the lowest dependency versions, in a separate environment"
	@echo "make lowest      resolve these versions again, after a bound changed"
	@echo "make test-slow   the tests that train for minutes or read real data"
	@echo "make test-browser  the tests of the pages in a browser (Debian: installs chromium)"
	@echo "make check       style, types and import contracts"
	@echo "make bench       the benchmarks that the README quotes"
	@echo "make systems     the six systems of docs/systems/ on simulated data: nested scores and times"
	@echo "make docs        generate pages from the code and from measurements"
	@echo "make site        build the site: docs/_build/html/index.html"
	@echo "make pictures    draw the figures of the pages"
	@echo "make clean       remove .venv and caches, but no runs"

# Rebuilt when the dependencies change.
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Holotype needs Python 3.11 or newer; $(PYTHON) is older or missing. Name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "Building .venv with the versions of constraints.txt (once; torch is large, this takes some minutes)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt -e '.[dev]'
	@touch $@

demo: .venv/.installed
	$(BIN)/holotype demo

test: .venv/.installed
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n $(TEST_PROCESSES) --dist loadfile

# Another environment beside .venv: torch's own libraries make it as large again.
.venv-lowest/.installed: pyproject.toml constraints-lowest.txt
	@echo "Building .venv-lowest with the versions of constraints-lowest.txt"
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --disable-pip-version-check --progress-bar off \
		-c constraints-lowest.txt -e '.[dev,retrieval,tune]'
	@touch $@

test-lowest: .venv-lowest/.installed
	$(ONE_THREAD) .venv-lowest/bin/python -m pytest -q -n $(TEST_PROCESSES) --dist loadfile

lowest: .venv/.installed
	$(BIN)/python -m pip install --disable-pip-version-check --quiet uv
	$(BIN)/python .ci/write_lowest.py

# One process that may use every core: these tests train, and some of them measure.
test-slow: .venv/.installed
	$(BIN)/python -m pytest -q -m slow

# Chromium from Debian, where it is not there yet; HOLOTYPE_CHROMIUM names another one.
chromium:
	@command -v "$${HOLOTYPE_CHROMIUM:-chromium}" >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium fonts-dejavu-core; }

test-browser: .venv/.installed chromium
	$(ONE_THREAD) $(BIN)/python -m pytest -q -m browser

# Only what failed the last time.
test-browser-again: .venv/.installed
	$(ONE_THREAD) $(BIN)/python -m pytest -q -m browser --last-failed

check: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_contracts.py -k "twice"

# Every script in bench/ but those whose names begin with an underscore, which the others share.
bench: .venv/.installed
	@set -e; for script in $$(ls bench/[!_]*.py); do echo "== $$script"; $(BIN)/python $$script; done

systems: .venv/.installed
	$(BIN)/python bench/systems.py

docs: .venv/.installed
	$(BIN)/python docs/write_reference.py
	$(BIN)/python docs/write_measured.py

# Offline; a warning is an error.
site: docs
	$(BIN)/python -m sphinx -q -E -a -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

pictures: .venv/.installed
	$(BIN)/python docs/draw_pictures.py

clean:
	rm -rf .venv .venv-lowest .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache docs/_build docs/made
