# `make demo` and `make test` need Python >= 3.10, make and a package registry; the rest sets itself up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_OUT ?= runs/demo

.PHONY: demo test test-long trust lint types bench bench-check dist-check docs docs-check findings lock clean

demo: $(READY)
	$(BIN)/bandprobe demo --out $(DEMO_OUT)

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_ARGS)

# What takes half a minute or more a test: machines that fail, the whole demo, the benchmarks.
test-long: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m long $(PYTEST_ARGS)

# All of what docs/trust.md shows, of which `make test` runs a quick share.
trust: $(READY)
	$(BIN)/bandprobe selftest --full
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m trust $(PYTEST_ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python benchmarks/run.py

# A few ratios against those of benchmarks/baseline.json, with slack for a busy machine.
bench-check: $(READY)
	$(BIN)/python benchmarks/run.py --check

# Wheel and sdist, built, looked into, and the demo run from the wheel in an environment of its own.
# DIST_CHECK="--demo small" takes one minute, where the whole demo takes six.
dist-check: $(READY)
	$(BIN)/python scripts/dist_check.py $(DIST_CHECK)

# The site, in dist/site: the command reference and the notebooks' pages are written anew, and a warning is an error.
docs: $(READY)
	$(BIN)/python -m docs_tools.commands
	$(BIN)/python -m docs_tools.notebooks
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Every code block of README.md and docs/ and every notebook, run; --update writes what they print into the pages.
docs-check: $(READY)
	$(BIN)/python -m docs_tools.check $(DOCS_CHECK)

# docs/findings.md and its pictures, from the commands behind them: three quarters of an hour, taken up where it stopped.
findings: $(READY)
	$(BIN)/python -m docs_tools.findings $(FINDINGS)

# The pinned set, then the package itself, built with the pinned build backend.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "bandprobe needs Python 3.10 or newer; got %s. Try make PYTHON=python3.11" % sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	@echo 'installing into $(VENV): a few minutes'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# One resolution for every supported Python. torch's CUDA packages are left to torch's own pins, so
# that a CPU build of torch brings none.
lock:
	$(PYTHON) -m venv .lock-venv && .lock-venv/bin/pip install --quiet uv
	echo torch==2.13.0 > .lock-venv/constraints.txt
	.lock-venv/bin/uv pip compile pyproject.toml --group dev --group docs --extra all --universal --python-version 3.10 \
	  --constraint .lock-venv/constraints.txt --no-annotate --no-header --upgrade --quiet -o .lock-venv/all.txt
	grep -vE '^(nvidia-|cuda-|triton|bandprobe)' .lock-venv/all.txt > requirements.lock
	rm -rf .lock-venv

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache
