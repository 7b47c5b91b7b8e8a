# Two commands do everything on a machine with Python >= 3.10 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
FORMATS ?= md,csv
JOBS   ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 1)
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint stub docs tables costs speed clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

demo: $(VENV)/.ready  ## set up, run the demonstration suite on the embedded data set, print and write its table
	$(BIN)/dalib run benchmarks/demo.toml --jobs $(JOBS)

test: $(VENV)/.ready  ## set up and run the tests (those marked slow are left out)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow"

test-all: $(VENV)/.ready  ## the slow tests too
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

lint: $(VENV)/.ready  ## style, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

stub: $(VENV)/.ready  ## write dalib/__init__.pyi again: the public names and the algorithms, for type checkers
	$(BIN)/python -m dalib.checks.stub

docs: $(VENV)/.ready-docs  ## build docs/_build/html; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

tables: $(VENV)/.ready  ## write results/tables again from the committed records (FORMATS=all: in every format)
	@for f in results/records/*.jsonl*; do name=$$(basename $${f%%.jsonl*}); \
		case $$name in few_labels*) kinds="--select=last --curve --costs";; validators*) kinds=--validators;; \
			*) kinds="--select=last --summary";; esac; \
		for kind in $$kinds; do \
		$(BIN)/dalib table $$name --records $$f --write results/tables --formats $(FORMATS) $$kind || exit 1; done; done
	@for name in few_labels few_labels_office31; do $(BIN)/dalib table $$name --records results/records/$$name.jsonl.gz \
		--curve --plot results/tables/$$name.curve.svg || exit 1; done
	@for f in results/records/validators*; do name=$$(basename $${f%%.jsonl*}); $(BIN)/dalib table $$name --records $$f \
		--validators --plot results/tables/$$name.svg || exit 1; done
	@for name in office_caltech10 office31_subset; do \
		$(BIN)/dalib table $$name --records results/records/$$name.jsonl.gz --validators --write results/tables --formats $(FORMATS) || exit 1; done
	@$(BIN)/dalib table digits --records results/records/digits.jsonl --published --write results/tables --formats $(FORMATS)
	@$(BIN)/dalib table what_to_transfer --records results/records/what_to_transfer.jsonl --select source_accuracy --write results/tables --formats $(FORMATS)
	@$(BIN)/python benchmarks/rank_study.py tables > /dev/null
	@$(BIN)/python benchmarks/recipe_study.py tables
	@$(BIN)/python benchmarks/plain_script.py tables
	@$(BIN)/python benchmarks/closed_form_tables.py > /dev/null
	@$(BIN)/python benchmarks/label_shift.py tables
	@$(BIN)/python benchmarks/first_tables.py
	@$(BIN)/python -m dalib.advice.evidence results/tables

costs: $(VENV)/.ready  ## measure what each algorithm costs beside source-only, for the catalogue (keep the machine quiet)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/step_cost.py --write dalib/algorithms/costs.json

speed: $(VENV)/.ready  ## measure: ratios to bare loops, textbooks and peers (keep the machine quiet; QUICK=--quick: small)
	@for script in $$(ls benchmarks/speed/[a-z]*.py | grep -v step_cost); do \
		echo "== $$script" && OMP_NUM_THREADS=1 $(BIN)/python $$script $(QUICK) || exit 1; done

clean:  ## remove the environment and what was built, not the results
	rm -rf $(VENV) docs/_build build dist *.egg-info

$(VENV)/.ready: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "dalib needs Python 3.10 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "installing dalib and its dependencies into $(VENV) (PyTorch is large; some minutes)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@

$(VENV)/.ready-docs: $(VENV)/.ready
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[docs]'
	@touch $@
