# Everything a clone needs: Python 3.11 or later, git and make. `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python that is new enough and can make a virtual environment; `make PYTHON=/path/to/python` overrides it.
SUITABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$p" -c '$(SUITABLE)' >/dev/null 2>&1 && { echo "$$p"; exit; }; done)

VENV := .venv
BIN := $(VENV)/bin
# What each stamp stands for: bsmon alone, bsmon with the developer's tools.
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev
INPUTS := pyproject.toml constraints.txt

# Of pip's hundred lines, the ones that say how far it is. Errors go to stderr, which is not filtered.
PIP := PYTHONUNBUFFERED=1 $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt
PROGRESS := awk '/^ *Downloading/ { sub(/.*\//, "", $$2); split($$2, part, "-"); print "  " part[1], part[2], $$(NF-1), $$NF } \
	/^ *Installing collected/ { print "  unpacking" } { fflush() }'

# One thread per process: torch on every core in two processes at once is many times slower than on one core each.
# Four processes at most, because each loads torch.
TEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
WORKERS ?= logical
PARALLEL := -n $(WORKERS) --maxprocesses 4 --dist worksteal

.PHONY: help demo test lint unit slow gpu docs screenshot clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUN) ## Install bsmon into .venv and watch a small training live
	@$(BIN)/bsmon train examples/digits.toml || [ $$? -eq 130 ] # 130: left before the end, which is no error here

test: lint unit ## Lint, types, import boundaries and tests, as CI runs them

lint: $(DEV) ## Style, types and import boundaries
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(DEV) ## The tests alone
	$(TEST) $(PARALLEL)

slow: $(DEV) ## The proofs that take minutes
	$(TEST) -m 'slow and not gpu' --timeout 900

gpu: $(DEV) ## The tests that need a CUDA device
	$(TEST) -m gpu --timeout 900

docs: $(RUN) ## Write docs/configuration.md anew from the config's own descriptions
	$(BIN)/python -m bsmon.config.explain > docs/configuration.md

screenshot: $(RUN) ## Take docs/screen.svg anew, of a real training
	$(BIN)/python docs/make_screenshot.py

clean: ## Remove .venv and everything that a build or a test left
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(BIN)/python:
	@if [ -z '$(PYTHON)' ]; then \
		echo 'bsmon needs Python 3.11 or later with the venv module (Debian, Ubuntu: apt install python3-venv).' >&2; \
		echo 'None was found on the PATH. Name one: make demo PYTHON=/path/to/python3.11' >&2; exit 1; fi
	@'$(PYTHON)' -c '$(SUITABLE)' || \
		{ echo '$(PYTHON) is no Python 3.11 or later with the venv and ensurepip modules.' >&2; exit 1; }
	@echo "Making $(VENV) with $$('$(PYTHON)' --version)"
	@'$(PYTHON)' -m venv $(VENV)

$(RUN): $(INPUTS) | $(BIN)/python
	@echo 'Installing bsmon into $(VENV) (torch is large: the first time takes minutes)'
	@$(PIP) -e . | $(PROGRESS)
	@touch $@

$(DEV): $(INPUTS) | $(BIN)/python
	@echo 'Installing bsmon and the test tools into $(VENV) (torch is large: the first time takes minutes)'
	@$(PIP) -e '.[dev]' | $(PROGRESS)
	@touch $(RUN) $@
