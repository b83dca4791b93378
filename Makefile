# make demo   text in, a model that answers questions about pictures out
# make bench  the data path, measured beside the published way; writes docs/bench.md
# make test   every fast test;  make check: lint, format, types, import direction

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Without an NVIDIA GPU torch comes from here: the same version without 3 GB of CUDA.
CPU_INDEX := https://download.pytorch.org/whl/cpu

.PHONY: demo bench test test-slow test-gpu check clean

demo: .venv/demo
	$(BIN)/python synthesize.py
	$(BIN)/python train.py
	$(BIN)/python evaluate.py

bench: .venv/demo
	$(BIN)/python -m bench.data_path

test: .venv/dev
	$(BIN)/python -m pytest

test-slow: .venv/dev
	$(BIN)/python -m pytest -m slow

test-gpu: .venv/dev
	$(BIN)/python -m pytest -m gpu

check: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/pyright

clean:
	rm -rf .venv data outputs

.venv/torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11 to 3.13 is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	command -v nvidia-smi >/dev/null || [ "$$(uname)" = Darwin ] || \
		$(PIP) install --quiet --no-deps --retries 1 --extra-index-url $(CPU_INDEX) "$$(grep ^torch== constraints.txt)"
	touch $@

.venv/demo: .venv/torch pyproject.toml
	$(PIP) install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/dev: .venv/torch pyproject.toml
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
