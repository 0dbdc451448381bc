# One word each. `make paper` on a fresh machine with Python 3.11, make and git is all there is to type.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --no-input --quiet
# The lock names everything, so nothing is resolved: with resolution, a dependency written with an extra
# (`coverage[toml]`) is taken for one without a pin as soon as a newer release than the pinned one exists.
# Byte code is left to the first import: most modules of most packages are never imported.
LOCKED := --no-deps --require-hashes --no-compile

# Byte code is kept, whatever the environment says: tests and engines start hundreds of processes, and each would
# read numba's sources anew (5.5 s of processor time for an import that takes 1.7).
export PYTHONDONTWRITEBYTECODE :=

# Lots of tests run beside each other, each in one process: a dealer of tests (pytest-xdist) and workers that all
# collect all of them took a fifth of the time. The longest comes first and the shortest last, so that no core is
# long without one at the end.
JOBS ?= 2
PROCESSES := tests/procs tests/faults
COMMANDS := tests/procs/cli tests/procs/importers tests/procs/venue_sim
THE_REST = $(wildcard tests/test_*.py) \
    $(filter-out $(PROCESSES) tests/engine tests/bench %/__pycache__,$(patsubst %/,%,$(wildcard tests/*/)))
PYTEST = $(PY) -m pytest -q --benchmark-disable -o cache_dir=.cache/tests/$@
# Asserts are not rewritten at first: that takes longer than most tests. What fails is run again with all that
# pytest can say of it, and the target fails whatever comes of that.
define lot
$(PYTEST) --assert=plain $(1) || { $(PYTEST) $(1) --last-failed --last-failed-no-failures=none; exit 1; }
endef
# Plain Python, where coverage sees into the kernels.
PLAIN = -m "not shared_data and not soak and not long_plain" --cov --cov-report=
COVERED = .cache/tests/covered
WORKERS ?= 2 # of `make fuzz`
COVERAGE_FLOOR ?= 90
MUTANTS ?= 60
SEED ?= 1
BENCHES ?=

# Stamps are written last. $(INSTALLING) exists while something is being installed, so that an interrupted
# installation is begun anew and never mistaken for a complete one.
RUNTIME := $(VENV)/.runtime-stamp
DEVELOP := $(VENV)/.develop-stamp
PEERS := $(VENV)/.peers-stamp
INSTALLING := $(VENV).installing

.PHONY: compiled-processes compiled-engine compiled-rest compiled-commands compiled-bench plain-shm plain-engine
.PHONY: help setup kernels paper test lint format fuzz soak bench docs mutate lock clean interrupted

help:
	@echo "make paper   set up, then trade on paper against simulated venues"
	@echo "make test    set up, then lint and run every test, twice: compiled, and plain with coverage"
	@echo "make lint    ruff and mypy"
	@echo "make format  rewrite the sources the way lint wants them"
	@echo "make fuzz    property tests with many more examples and a random seed"
	@echo "make soak    tests that take minutes to hours"
	@echo "make bench   measure, beside what the engine replaces; BENCHES='ring book' for some"
	@echo "make docs    write the pages that are made from code, and the tables of measurements"
	@echo "make mutate  break the engine on purpose and see which tests notice"
	@echo "make lock    choose versions anew and pin them with hashes"
	@echo "make clean   remove what can be built again"

$(RUNTIME): requirements.lock pyproject.toml
	@PYTHON="$(PYTHON)" VENV="$(VENV)" INSTALLING="$(INSTALLING)" sh .ci/make-venv
	@touch $(INSTALLING)
	@rm -f $@
	$(PIP) $(LOCKED) -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@rm -f $(INSTALLING)
	@touch $@

ifneq ($(wildcard $(INSTALLING)),)
$(RUNTIME): interrupted
endif

$(DEVELOP): $(RUNTIME) requirements-dev.lock
	@touch $(INSTALLING)
	@rm -f $@
	$(PIP) $(LOCKED) -r requirements-dev.lock
	@rm -f $(INSTALLING)
	@touch $@

setup: $(DEVELOP)

kernels: $(RUNTIME)
	@$(PY) -m procs.kernels

paper: kernels
	@$(VENV)/bin/pr3dict paper

lint: $(DEVELOP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy --num-workers $(JOBS)

format: $(DEVELOP)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

# Twice: compiled, which is what runs in production; and plain, for the branches that are covered. None of it
# waits but for what it needs: kernels are compiled beside lint and the plain tests, which need none.
test: $(RUNTIME)
	@echo "lint, kernels and seven lots of tests, $(JOBS) at a time; each is shown when it is done"
	@rm -rf $(COVERED)
	@$(MAKE) --no-print-directory --keep-going --jobs=$(JOBS) --output-sync=target \
	    kernels lint compiled-processes plain-shm plain-engine compiled-engine compiled-rest \
	    compiled-commands compiled-bench
	@$(PY) -m coverage combine --quiet --data-file=$(COVERED)/all $(COVERED)/plain-*
	@$(PY) -m coverage report --data-file=$(COVERED)/all --fail-under=$(COVERAGE_FLOOR)

compiled-processes: $(DEVELOP) kernels
	@$(call lot,$(PROCESSES) $(addprefix --ignore=,$(COMMANDS)))

compiled-engine: $(DEVELOP) kernels
	@$(call lot,tests/engine)

compiled-commands: $(DEVELOP) kernels
	@$(call lot,$(COMMANDS))

compiled-bench: $(DEVELOP) kernels
	@$(call lot,tests/bench)

compiled-rest: $(DEVELOP) kernels
	@$(call lot,$(THE_REST))

plain-shm plain-engine: export NUMBA_DISABLE_JIT = 1
plain-shm plain-engine: export COVERAGE_FILE = $(COVERED)/$@
plain-shm plain-engine: plain-%: $(DEVELOP)
	@mkdir -p $(COVERED)
	@$(call lot,tests/$* $(PLAIN))

fuzz: $(DEVELOP) kernels
	PR3DICT_HYPOTHESIS_PROFILE=fuzz $(PY) -m pytest -q -n $(WORKERS) -m "hypothesis and not soak"

soak: $(DEVELOP) kernels
	$(PY) -m pytest -m soak -rP

# Peers are optional: without them the engine is measured alone, and says so.
$(PEERS): $(RUNTIME) requirements-bench.lock
	@$(PIP) $(LOCKED) -r requirements-bench.lock && touch $@ || echo "no peers could be installed: going on without"

bench: kernels $(PEERS) $(DEVELOP)
	$(if $(BENCHES),,$(PY) -m pytest -q tests/bench/test_micro.py --benchmark-only)
	$(PY) -m bench $(BENCHES)

docs: kernels
	@$(PY) -m procs.generated_docs
	@$(PY) -m bench --page

mutate: $(DEVELOP)
	$(PY) -m tests.mutation.run --count $(MUTANTS) --seed $(SEED)

# pip-tools has an environment of its own: what pins the dependencies is not one of them.
LOCK_FLAGS := --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate \
    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock:
	$(PYTHON) -m venv .cache/lock
	.cache/lock/bin/python -m pip install --disable-pip-version-check --quiet pip-tools
	.cache/lock/bin/pip-compile $(LOCK_FLAGS) --all-build-deps -o requirements.lock pyproject.toml
	.cache/lock/bin/pip-compile $(LOCK_FLAGS) -o requirements-dev.lock requirements-dev.in
	.cache/lock/bin/pip-compile $(LOCK_FLAGS) -o requirements-bench.lock requirements-bench.in

clean:
	rm -rf $(VENV) $(INSTALLING) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* build dist out
	find engine shm procs bench tests -name __pycache__ -type d -prune -exec rm -rf {} +
