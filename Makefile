# Needs Python 3.11 and make, nothing else. Everything is installed into .venv with pinned versions.

PYTHON ?= python3.11
# Another Python (make test PYTHON=python3.12) has its own folder: an environment keeps its Python.
VENV := $(if $(filter python3.11,$(PYTHON)),.venv,build/venv-$(shell $(PYTHON) -c \
	'import sys; print("%d.%d" % sys.version_info[:2])'))
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/constraints.txt
# One marker per set of dependencies: it is older than the files that state them when they change.
MAIN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
STATED := pyproject.toml requirements/constraints.txt

.PHONY: help install bench benchmark performance test fuzz coverage check lint types format build check-build \
	docs rllib-example clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:[^#]*##/\t/' | expand -t 16

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch first and by itself: it is the large one, and its pin decides whether CUDA comes along.
$(MAIN): $(VENV)/bin/python $(STATED)
	$(INSTALL) torch
	$(INSTALL) -e .
	@touch $@

$(DEV): $(MAIN)
	$(INSTALL) -e '.[dev]'
	@touch $@

install: $(MAIN)  ## install the package into .venv

benchmark: $(MAIN)  ## train and evaluate the default agents on `paper`, print the table
	$(BIN)/python benchmarks/run_benchmark.py --scenario paper

bench: $(MAIN)  ## measure how fast everything is on this machine
	$(BIN)/edge-marl bench

# Some ten minutes, on a machine that does nothing else.
performance: $(MAIN)  ## measure all of docs/performance.md, and write it
	$(BIN)/edge-marl bench --learners --peers --out docs/figures
	@rm docs/figures/speed.md docs/figures/speed.svg  # the page has the one, and shows a PNG
	$(BIN)/python docs/make_tables.py

# A worker takes whole files, which share what they set up, in their order: by default those of few
# tests come last, which are the long ones that start processes. One thread each for torch and BLAS:
# the other core is the other worker's.
PYTEST := pytest -n 2 --dist loadfile --no-loadscope-reorder
test coverage: export OMP_NUM_THREADS := 1

test: check  ## lint, types and all tests
	$(BIN)/python -m $(PYTEST)

MINUTES ?= 60

fuzz: $(DEV)  ## read changed files with every reader of files for MINUTES (60)
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

# Not in `test`: every line that is traced takes longer.
coverage: $(DEV)  ## all tests, and which lines of the packages they ran
	@rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/coverage run -m $(PYTEST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The hooks of the site refuse what MkDocs does not: a page that asks the network for something.
docs: $(MAIN)  ## build the documentation into build/docs, every warning an error, and run what it tells
	$(INSTALL) -e '.[docs]'
	$(BIN)/python -m pytest -q -m docs tests/test_docs_site.py tests/test_walkthroughs.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "build/docs/index.html; with search: $(BIN)/python -m http.server -d build/docs"

check: lint types

lint: $(DEV)  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The folders are laid out as they are imported, which is where mypy looks for them.
types: $(DEV)  ## mypy --strict
	@rm -rf build/types && mkdir -p build/types
	@cp -r edge_marl tests build/types/ && cp -r agents benchmarks leaderboards build/types/edge_marl/
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml

format: $(DEV)  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

build: $(DEV)  ## build sdist and wheel into dist/
	@rm -rf dist
	$(BIN)/python -m build

# What the workflow of a release publishes. It sets TAG; without one any version will do. The wheel
# is played from its own folder, where nothing of the source tree can be imported.
WHEEL := build/wheel

check-build: build  ## check what was built: its metadata and version, and a run of the wheel alone
	$(INSTALL) -e '.[release]'
	$(BIN)/twine check --strict dist/*
	rm -rf $(WHEEL) && $(PYTHON) -m venv $(WHEEL)
	$(WHEEL)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c requirements/constraints.txt torch
	$(WHEEL)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c requirements/constraints.txt dist/*.whl
	version=$$($(WHEEL)/bin/edge-marl --version) && echo "$$version" && \
		test "$${TAG:-v$${version#edge-marl }}" = "v$${version#edge-marl }"
	cd $(WHEEL) && bin/edge-marl run --suite smoke --agents random,prophet --episodes 2 --out results

# RLlib pins an older Gymnasium: an environment of its own, with every other version as above.
RLLIB := build/rllib

$(RLLIB)/.installed: $(STATED)
	$(PYTHON) -m venv $(RLLIB)
	grep -v '^gymnasium==' requirements/constraints.txt > $(RLLIB)/constraints.txt
	$(RLLIB)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c $(RLLIB)/constraints.txt torch
	$(RLLIB)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c $(RLLIB)/constraints.txt -e '.[rllib]'
	@touch $@

rllib-example: $(RLLIB)/.installed  ## train RLlib's PPO on the multi-agent game
	$(RLLIB)/bin/python docs/examples/rllib_multi_agent.py

clean:  ## remove what was built and installed
	rm -rf .venv build dist *.egg-info
