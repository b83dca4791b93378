# make demo   text in, a model that answers questions about pictures out
# make science   the comparison of transfers, captions and test sets: an hour on two cores
# make test   every fast test;  make check: lint, format, types, import direction

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Without an NVIDIA GPU torch comes from here: the same version without 3 GB of CUDA.
CPU_INDEX := https://download.pytorch.org/whl/cpu

# Three seeds of everything, two runs side by side.
SWEEP = -m name=science seed=0,1,2 image_statistics=$(PAIRED)/embeddings hydra/launcher=joblib hydra.launcher.n_jobs=2
DENSE = data/scenes
SPARSE = data/scenes-sparse
PAIRED = data/scenes-paired

.PHONY: demo science test test-slow test-gpu check clean

demo: .venv/demo
	$(BIN)/python synthesize.py
	$(BIN)/python train.py
	$(BIN)/python evaluate.py

science: .venv/demo
	$(BIN)/python synthesize.py dataset=$(DENSE)
	$(BIN)/python synthesize.py dataset=$(SPARSE) synthesis.densify=false synthesis.pairs_min=1
	$(BIN)/python -m unicorn.scenes.paired dataset=$(DENSE) out=$(PAIRED)
	$(BIN)/python train.py $(SWEEP) dataset=$(DENSE) transfer=mean_shift,none,c3,realign
	$(BIN)/python train.py $(SWEEP) dataset=$(SPARSE),$(PAIRED) transfer=mean_shift
	$(BIN)/python evaluate.py $(SWEEP) dataset=$(DENSE) transfer=none,c3,realign task=scenes
	$(BIN)/python evaluate.py $(SWEEP) dataset=$(SPARSE),$(PAIRED) transfer=mean_shift task=scenes
	$(BIN)/python evaluate.py $(SWEEP) dataset=$(DENSE) transfer=mean_shift task=scenes \
		scenes.shift=none,tint,dark,content evaluation.centring=test_set,calibration,none

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
