# Two commands: `make demo` and `make test`. Everything else is a step of one of them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo
SUITE := --music mtat=$(DEMO)/corpora/magnatagatune --music mtg-jamendo=$(DEMO)/corpora/mtg-jamendo \
         --noise audioset=$(DEMO)/corpora/audioset --noise musan=$(DEMO)/corpora/musan
TRAIN := $(BIN)/train
PRESET := --preset demo --shards $(DEMO)/shards
METHODS := baseline dat supervised robust

.PHONY: demo demo-build demo-train test lint pytest bench clean

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
	test -d $(DEMO)/corpora || $(BIN)/prep demo-corpora $(DEMO)/corpora
	$(BIN)/prep build-shards --suite demo $(SUITE) --out $(DEMO)/shards
	$(BIN)/prep build-shards --music folder=$(DEMO)/corpora/recordings --noise none --split all --out $(DEMO)/recordings
	$(BIN)/prep verify $(DEMO)/shards $(DEMO)/recordings
	$(BIN)/prep report $(DEMO)/shards/k1/test-audioset -o $(DEMO)/report.html

demo-train: demo-build
	$(TRAIN) baseline $(PRESET) --out $(DEMO)/runs/baseline
	for method in dat supervised robust; do \
	  $(TRAIN) $$method $(PRESET) --encoder $(DEMO)/runs/baseline --out $(DEMO)/runs/$$method || exit 1; done
	for method in $(METHODS); do \
	  $(TRAIN) evaluate --checkpoint $(DEMO)/runs/$$method --shards $(DEMO)/shards > $(DEMO)/runs/$$method/scores.txt || exit 1; done
	$(TRAIN) evaluate --checkpoint $(DEMO)/runs/baseline --shards $(DEMO)/shards --random-encoder --out $(DEMO)/runs/random > /dev/null
	$(TRAIN) compare $(DEMO)/runs/random $(METHODS:%=$(DEMO)/runs/%) --out $(DEMO)/comparison
	$(TRAIN) tag $(DEMO)/corpora/recordings/recording_00.wav --checkpoint $(DEMO)/runs/robust --top 5
	-$(BIN)/python -m trainer.bars $(DEMO)/runs --shards $(DEMO)/shards

test: lint pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pytest: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench: $(STAMP)
	$(BIN)/python tests/benchmarks/bench_build.py
	$(BIN)/python tests/benchmarks/bench_loader.py
	$(BIN)/python tests/benchmarks/bench_train_step.py

clean:
	rm -rf $(VENV) $(DEMO)
