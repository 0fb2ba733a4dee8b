# Needs make, git and Python >= 3.11 (on Debian also python3-venv); everything else is installed into .venv from the lock files.
# `make help` lists the targets. PYTHON=/path/to/python chooses the interpreter, VENV the directory.

SHELL := /bin/sh
VENV ?= .venv
PYTHON ?=
UV ?= uv
PYTEST_ARGS ?= -n 2

bin := $(VENV)/bin
pip_install := $(bin)/python -m pip --disable-pip-version-check --no-input install --quiet

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test setup lint lock clean

help:
	@echo 'make demo    install what the programs need and run the crossing scenario into out/demo'
	@echo 'make test    install what the tests need and run all of them: lint, types, import contracts, unit, integration'
	@echo 'make setup   install what the tests need, nothing more'
	@echo 'make lint    ruff, mypy --strict and the import contracts, without the other tests'
	@echo 'make lock    write the lock files anew from pyproject.toml (needs uv)'
	@echo 'make clean   remove the virtual environment, caches and out/'

demo: $(VENV)/.runtime
	@$(bin)/v2x-sim run crossing --out out/demo

# Lint, types and import contracts are tests too (tests/integration/test_architecture.py): one run reports everything,
# and its closing line is pytest's.
test: $(VENV)/.test
	@.ci/debian-packages tests/debian-packages.txt
	@.ci/tpm-binding $(bin)/python requirements-tpm.lock $(VENV)/.tpm
	@.ci/anvil $(VENV)/anvil
	@.ci/sigsum-witness $(VENV)/sigsum-witness
	@$(bin)/python -m pytest $(PYTEST_ARGS)

setup: $(VENV)/.test

lint: $(VENV)/.test
	$(bin)/ruff check .
	$(bin)/python -m mypy
	$(bin)/lint-imports

lock:
	@$(UV) pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-config --custom-compile-command 'make lock' --quiet --output-file requirements.lock
	@$(UV) pip compile pyproject.toml --group build --group test --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-config --custom-compile-command 'make lock' --quiet --output-file requirements-test.lock
	@$(UV) pip compile --group tpm --no-deps --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-config --custom-compile-command 'make lock' --quiet --output-file requirements-tpm.lock

clean:
	rm -rf $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache v2x_trust.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python:
	@if $(bin)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then touch $@; exit 0; fi; \
	python='$(PYTHON)'; \
	if [ -z "$$python" ]; then \
	  for candidate in python3 python3.11 python3.12 python3.13 python3.14; do \
	    if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	  done; \
	fi; \
	if ! "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  echo "Python 3.11 or newer is needed; found: $$(python3 --version 2>&1). Name one with PYTHON=..." >&2; exit 2; \
	fi; \
	if ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
	  echo 'Python cannot make a virtual environment here. Please run: apt install python3-venv' >&2; exit 2; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv --clear $(VENV) && touch $@

$(VENV)/.runtime: $(VENV)/.python requirements.lock pyproject.toml
	@echo 'Installing what the programs need (requirements.lock)'
	@$(pip_install) --require-hashes --no-deps -r requirements.lock
	@$(pip_install) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.python requirements-test.lock pyproject.toml
	@echo 'Installing what the programs and their tests need (requirements-test.lock)'
	@$(pip_install) --require-hashes --no-deps -r requirements-test.lock
	@$(pip_install) --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.runtime $@
