# Everything runs in .venv, made on first use from the hashed lock of the control plane.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint acceptance golden toolchain-locks requirements clean

demo: $(READY)  ## Build manifests/shapes.yaml: a trained, verified release in a few minutes
	$(BIN)/tinsmith build manifests/shapes.yaml

test: $(READY)  ## All tests; those that need a Docker engine say so where there is none
	$(BIN)/pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

acceptance: $(READY)  ## Train on the raccoon photographs: half an hour on two cores
	$(BIN)/tinsmith build manifests/raccoon-025.yaml --source raccoon=$${RACCOON:-../shared/data/raccoon}

golden: $(READY)  ## Write the expected step keys anew; the diff shows what will run again
	$(BIN)/python -m tests.golden.write

toolchain-locks: $(READY)  ## Resolve docker/*/requirements.in into hashed locks
	UV=$(abspath $(BIN))/uv docker/lock-requirements

requirements: $(READY)  ## Resolve the control plane's own dependencies into requirements.lock
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --python-version 3.11 --extra dev -o requirements.lock pyproject.toml

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit("tinsmith needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) .tinsmith build
