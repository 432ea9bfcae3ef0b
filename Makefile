# What to do with a checkout. Needed: make, and Python 3.11 or newer.
#
#   make run      run the five examples and write their pictures to plots/
#   make test     run the tests; PyTorch is not needed and not installed
#   make lint     check style, and what is generated     make types   check types
#   make docs     build the pages        make bench   measure (benchmarks/run.py)
#   make browser  try the page of `chainrule serve` in a Chromium, where there is one
#   make parity   run the tests beside PyTorch and the other libraries, from an environment of their own
#   make clean    remove all that these commands have made
#
# An environment is made by the first command that needs it, and made anew when pyproject.toml changes.

PYTHON ?= python3
BIN := .venv/bin
PARITY := .venv-parity/bin
TORCH := torch==2.13.0

.DELETE_ON_ERROR:
.PHONY: help run test browser lint types docs parity bench clean

help:
	@sed -n 's/^#  //p' Makefile

run: .venv/.explain
	$(BIN)/python examples

test: .venv/.test
	$(BIN)/python -m pytest -n auto

browser: .venv/.browser
	$(BIN)/python -m pytest -rs tests/test_web_page.py

lint: .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/make_stubs.py --check

types: .venv/.lint
	$(BIN)/mypy

docs: .venv/.docs
	$(BIN)/mkdocs build --strict

parity: .venv-parity/.made
	CHAINRULE_FUZZ=1000 $(PARITY)/python -m pytest -n auto -rs

bench: .venv-parity/.made
	$(PARITY)/python benchmarks/run.py $(BENCH)

clean:
	rm -rf .venv .venv-parity plots site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments. The stamps inside say what has been installed; pip is upgraded for its --group.

define new-environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python 3.11 or newer is needed, and $(PYTHON) is not: choose another with PYTHON=, as in" \
	       "make PYTHON=python3.13 run" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
endef

.venv/.explain: pyproject.toml
	$(new-environment)
	$(BIN)/python -m pip install --quiet --editable '.[explain]'
	@touch $@

.venv/.test .venv/.browser .venv/.lint .venv/.docs: .venv/.%: .venv/.explain
	$(BIN)/python -m pip install --quiet --group $*
	@touch $@

.venv-parity/.made: pyproject.toml
	$(new-environment)
	$(PARITY)/python -m pip install --quiet $(TORCH) --editable '.[all,jax]' --group parity --group benchmarks
	@touch $@
