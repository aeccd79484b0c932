# Two commands: `make demo` and `make test`. Everything else is a step of one of them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo
SUITE := --music mtat=$(DEMO)/corpora/magnatagatune --music mtg-jamendo=$(DEMO)/corpora/mtg-jamendo \
         --noise audioset=$(DEMO)/corpora/audioset --noise musan=$(DEMO)/corpora/musan
TRAIN := $(BIN)/train
METHODS := baseline,dat,supervised,robust

.PHONY: demo demo-build demo-train results results-gpu results-sets backbones robustness test lint pytest bench peers clean

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, found: $$($(PYTHON) --version). Install python3.11, or: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "The venv module is missing. Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade -c constraints.txt pip setuptools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dask,s3,onnx,test]'
	@touch $@

demo: demo-build demo-train

demo-build: $(STAMP)
	test -d $(DEMO)/corpora || $(BIN)/prep demo-corpora $(DEMO)/corpora --train-scale 2
	$(BIN)/prep build-shards --suite demo $(SUITE) --out $(DEMO)/shards
	$(BIN)/prep build-shards --music folder=$(DEMO)/corpora/recordings --noise none --split all --name recordings \
	  --tags $(DEMO)/shards/k1/train/tags.json --out $(DEMO)/recordings
	$(BIN)/prep verify $(DEMO)/shards $(DEMO)/recordings
	$(BIN)/prep report $(DEMO)/shards/k1/test-audioset -o $(DEMO)/report.html

demo-train: demo-build
	$(TRAIN) grid --preset demo --methods $(METHODS) --shards $(DEMO)/shards --evaluate $(DEMO)/recordings \
	  --out $(DEMO)/runs --cell-jobs 2 --workers 0
	$(TRAIN) tag $(DEMO)/corpora/recordings/recording_00.wav --checkpoint $(DEMO)/runs/robust-k1-s0 --top 5
	-$(BIN)/python -m trainer.bars $(DEMO)/runs --shards $(DEMO)/shards

# The documented runs, docs/results.md. Real noise that training never hears, from its own sources:
# make results ESC10=DIR MUSAN=DIR, make results-gpu ..., make backbones ... They say every length, batch and rate
# themselves, so that the demo preset may change.
RESULTS := results
TRAIN_SCALE := 4
CELL_JOBS := 2
CONTROL_SEEDS := 0
REAL := --music mtat=$(RESULTS)/corpora/magnatagatune --split test --noise-split all --snr 10 --snr 0 --snr -10
BATCHES := --classifier-batch-size 24 --batch-size 24
LENGTH := --width 0.25 --encoder-epochs 75 --encoder-temperature 0.5 --classifier-epochs 10 --epochs 18 $(BATCHES)
FULL_WIDTH := --width 1 --encoder-epochs 120 --encoder-lr 5e-4 --classifier-epochs 8 --classifier-batch-size 48 \
              --epochs 16 --batch-size 48 --compile off --workers 2
COMMON := --encoder-batch-size 32 --lr 5e-4 --validations 4 --encoder-validations 3 --classifier-validations 3
GRID = $(TRAIN) grid --preset demo --precision bfloat16 $(COMMON) $(LENGTH) --shards $(RESULTS)/shards --evaluate $(RESULTS)/real-esc10 \
       --evaluate $(RESULTS)/real-musan --out $(RESULTS)/runs --cell-jobs $(CELL_JOBS)

BACKBONES := $(TRAIN) grid --preset demo --precision bfloat16 --width 0.25 $(COMMON) $(BATCHES) --rows docs/results/backbones.toml --shards $(RESULTS)/shards \
             --set test-musan=$(RESULTS)/real-musan --out $(RESULTS)/backbones --cell-jobs 2 --workers 0

results-sets: $(STAMP)
	@test -n "$(ESC10)" -a -n "$(MUSAN)" || { echo "usage: make results ESC10=DIR MUSAN=DIR, or make results-gpu ..., or make backbones ... (folders of real noise)"; exit 2; }
	test -d $(RESULTS)/corpora || $(BIN)/prep demo-corpora $(RESULTS)/corpora --train-scale $(TRAIN_SCALE) --pretrain-songs 0
	$(BIN)/prep build-shards --suite demo $(subst $(DEMO)/corpora,$(RESULTS)/corpora,$(SUITE)) --out $(RESULTS)/shards
	$(BIN)/prep build-shards $(REAL) --noise folder=$(ESC10) --name real-esc10 --out $(RESULTS)/real-esc10
	$(BIN)/prep build-shards $(REAL) --noise musan=$(MUSAN) --name real-musan --out $(RESULTS)/real-musan

results: results-sets
	$(GRID) --rows docs/results/methods.toml --seeds 0,1,2
	$(GRID) --rows docs/results/controls.toml --seeds $(CONTROL_SEEDS)
	$(TRAIN) compare $(RESULTS)/runs/*-s? --out $(RESULTS)/table

# At full width, on twice the corpora, three seeds of every row: for one GPU with 16 cores beside it.
results-gpu:
	$(MAKE) results RESULTS=$(RESULTS)/gpu TRAIN_SCALE=8 CELL_JOBS=8 CONTROL_SEEDS=0,1,2 LENGTH="$(FULL_WIDTH)"

backbones: results-sets
	$(BACKBONES)

robustness: results-sets
	$(BACKBONES) --perturb all

test: lint pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pytest: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Benchmarks, docs/benchmarks.md. `make bench BENCH="--only build"` repeats one of them.
bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python tests/benchmarks/run_all.py $(BENCH)

# torch-audiomentations calls torchaudio.info, which went with torchaudio 2.9: an environment of its own, 5 GB.
PEERS := .venv-peers
peers:
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.8.0 torchaudio==2.8.0 torch-audiomentations==0.12.0 soundfile

clean:
	rm -rf $(VENV) $(PEERS) $(DEMO) $(RESULTS)
