# make        what there is to do
# Needs make and Python 3.11 or newer, nothing else. Another Python: make PYTHON=python3.12 test

PYTHON ?= python3
PHOTO ?= src/regiontalk/samples/coffee.jpg
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# `pip install '.[web]'`, without -e, replaces the editable install by a copy, which is then newer than the stamps below.
COPY := $(wildcard $(VENV)/lib/python3*/site-packages/regiontalk)
INSTALLS_FROM := pyproject.toml constraints.txt Makefile $(COPY)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check lint types docs format clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## A virtual environment in .venv with all that development, training and tests need

demo: $(VENV)/.runtime ## Describe a sample photo (or PHOTO=...) and draw demo.png, with the light runtime only
	$(BIN)/regiontalk describe $(PHOTO) --draw demo.png
	@echo "The picture is demo.png. regiontalk lies in $(BIN): for this shell, type"
	@echo "    . $(BIN)/activate"
	@echo "or call it as $(BIN)/regiontalk. Next, your own photos:"
	@echo "    regiontalk index add PHOTOS --index photos.index"
	@echo "    regiontalk search \"a dog on the beach\" --index photos.index"

# Two workers, each with one thread: more would wait for each other. Files stay whole, as what they share is made once.
test: check docs ## All checks, the reference, doctests and tests: what CI runs
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: lint types ## Lint, format and types, without tests

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.dev ## The reference of the Python API, made from docstrings: build/docs/regiontalk.html
	$(BIN)/python -W error -m pdoc --docformat google --output-directory build/docs regiontalk regiontalk.errors

format: $(VENV)/.dev ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the virtual environment and what the tools left
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis demo.png

# Stamps: a second call installs nothing unless one of these files changed, or a copy took the editable install's place.
$(VENV)/.runtime: $(INSTALLS_FROM) | $(VENV)/.made
	@echo "Installing the runtime into $(VENV)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(INSTALLS_FROM) | $(VENV)/.made
	@echo "Installing the runtime, PyTorch and the development tools into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.runtime

$(VENV)/.made:
	@command -v '$(PYTHON)' >/dev/null || { \
	  echo "RegionTalk needs Python 3.11 or newer and finds no $(PYTHON). Install it, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "RegionTalk needs Python 3.11 or newer, but $(PYTHON) is $$('$(PYTHON)' -V 2>&1). Name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@'$(PYTHON)' -m venv $(VENV) || { \
	  echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	@touch $@
