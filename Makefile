# Everything a developer types. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Where `make generate` writes, and what it reads
GENERATED := crds docs charts tests/wrong_manifests

.PHONY: help install demo test check lint generate generated binaries format unit integration e2e chaos gitops queues test-gpu images cluster corpus bench-data bench-dedup bench-gpu bench-languages bench-rules bench-scrub bench-operator bench-planner bench-train clean

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

install: $(INSTALLED) ## Make .venv with everything (Python 3.12 or newer is needed)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(f"Python 3.12 or newer is needed, {sys.executable} is {sys.version.split()[0]}; set PYTHON=/path/to/python3.12") if sys.version_info < (3, 12) else None'
	@echo "Installing into $(VENV): about 6 GB once (torch), some minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip==26.3'
	$(BIN)/python -m pip install --quiet --progress-bar off -c constraints.txt \
	  -e '.[operator,data,trainer,local,plots]' --group dev
	@touch $@

demo: install ## Raw text to a trained model on this machine (KEEP=1 leaves the cluster up)
	@exec $(BIN)/python -m pretrain_local.demo $(if $(KEEP),--keep)

test: binaries ## All tests: unit, integration, end to end
	$(BIN)/python -m pytest tests/unit tests/integration tests/e2e

check: lint generated test ## What CI runs: lint, generated files unchanged, all tests

generated: generate ## Fail if a generated file is not the committed one
	@changed=$$(git status --porcelain -- $(GENERATED)); \
	if [ -n "$$changed" ]; then \
	  echo "not as committed:"; echo "$$changed"; git --no-pager diff -- $(GENERATED); exit 1; \
	fi

binaries: install
	$(BIN)/python -m pretrain_local build --tests

lint: install ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: install ## Write the generated files (CRDs, reference pages)
	$(BIN)/python -m pretrain_api crds docs/api
	$(BIN)/python -m pretrain_api.rules tests/wrong_manifests docs/wrong-manifests.md
	$(BIN)/python charts/generate.py

unit: install ## Tests without a cluster
	$(BIN)/python -m pytest tests/unit

integration: binaries ## Tests against a real API server and real processes
	$(BIN)/python -m pytest tests/integration

e2e: binaries ## The whole chain with real pods
	$(BIN)/python -m pytest tests/e2e

chaos: binaries ## Lost nodes on a real control plane, with Kubernetes' own delays
	$(BIN)/python -m pytest tests/chaos

queues: binaries ## Runs in a queue of Kueue's real controller (built once, 2 minutes)
	$(BIN)/python -m pretrain_local build kueue
	$(BIN)/python -m pytest tests/queues

gitops: binaries ## Training from Git, with Flux's controllers (built once, 4 minutes)
	$(BIN)/python -m pretrain_local build source-controller kustomize-controller
	$(BIN)/python -m pytest tests/gitops

test-gpu: install ## The trainer on the GPUs of this machine
	$(BIN)/python -m pytest -m gpu tests/integration/trainer

images: ## Build the three images (REGISTRY=... TAG=... PUSH=1; images/build.sh says more)
	@REGISTRY='$(REGISTRY)' TAG='$(TAG)' PUSH='$(PUSH)' images/build.sh

cluster: install ## Start Kubernetes on this machine; `python -m pretrain_local down` ends it
	$(BIN)/python -m pretrain_local up

bench-planner: install ## Score the planner on measured runs (TIME_ROWS=a.csv MEMORY_ROWS=b.csv)
	$(BIN)/python benchmarks/planner.py $(if $(TIME_ROWS),--time-rows $(TIME_ROWS)) $(if $(MEMORY_ROWS),--memory-rows $(MEMORY_ROWS))

CORPUS ?= .corpus
DOCUMENTS ?= 800000 5000000

corpus: install ## Build real text for benchmarks in CORPUS (SMALL=1: the redistributable core)
	PYTHONPATH=benchmarks $(BIN)/python -m corpus_builder $(CORPUS) $(if $(SMALL),--small)

bench-data: install ## MB of text per CPU-second of each data stage, next to datatrove (CORPUS=FOLDER)
	$(BIN)/python benchmarks/data_stages.py $(CORPUS)

bench-dedup: install ## Cost of deduplication over many documents (DOCUMENTS="800000 5000000")
	$(BIN)/python benchmarks/dedup_scale.py $(DOCUMENTS)

bench-languages: install ## Score the detection of languages (CORPUS=FOLDER)
	$(BIN)/python benchmarks/languages.py $(CORPUS)/zh.jsonl $(CORPUS)/en.jsonl $(CORPUS)/code.jsonl

bench-operator: binaries ## Cost of many runs at once, of a restart, of runs under way (RUNS=1000)
	PYTHONPATH=tests $(BIN)/python benchmarks/control_plane.py $(if $(RUNS),--runs $(RUNS))

bench-train: install ## Seconds of a training step next to transformers, on a quiet machine
	$(BIN)/python benchmarks/training.py

bench-gpu: install ## Tokens per second, MFU and memory on a GPU (PEER=1: transformers as well)
	$(BIN)/python benchmarks/gpu.py $(if $(PEER),--peer)

bench-rules: install ## What recommended rules drop of good text and of junk (CORPUS=FOLDER)
	$(BIN)/python benchmarks/rules.py $(CORPUS)

bench-scrub: install ## Precision, recall and speed of scrubbing (CORPUS=FOLDER)
	$(BIN)/python benchmarks/scrub.py $(CORPUS)

clean: ## Remove the virtual environment, the demo's files and caches
	-[ ! -x $(BIN)/python ] || $(BIN)/python -m pretrain_local.demo --down
	-[ ! -x $(BIN)/python ] || $(BIN)/python -m pretrain_local down
	rm -rf $(VENV) .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
