# Everything runs in .venv, made on first use from the hashed lock of the control plane.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
# uv installs in seconds what takes pip a minute; where it cannot reach the package index as pip is set up to, pip does it.
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)
define INSTALL
$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) \
	|| $(BIN)/python -m pip install --quiet --require-hashes -r $(1)
$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
endef
COMPILE = $(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --python-version 3.11

.PHONY: demo test lint acceptance bench fuzz stress capsule golden reference toolchain-locks requirements clean

demo: $(READY)  ## Build manifests/shapes.yaml: a trained, verified release in a few minutes
	$(BIN)/tinsmith build manifests/shapes.yaml

TEST_PROCESSES ?= 2
test: $(DEV)  ## All tests; those that need a Docker engine say so where there is none
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist loadgroup --no-loadscope-reorder

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict .yamllint.yaml .github manifests docs
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --quiet --schemafile manifests/manifest.schema.json manifests/*.yaml
	$(BIN)/zizmor --offline --quiet --persona pedantic .github

acceptance: $(READY)  ## Train on the raccoon photographs: ten minutes on two cores
	$(BIN)/tinsmith build manifests/raccoon-025.yaml --source raccoon=$${RACCOON:-../shared/data/raccoon}

bench: $(DEV)  ## Speeds beside a peer's, in the same run: annotations, pictures, registries, builds with nothing to do, training, clusters
	$(BIN)/python -m tests.bench.coco_size
	$(BIN)/python -m tests.bench.jpegs
	$(BIN)/python -m tests.bench.registry_speed
	$(BIN)/python -m tests.bench.noop_build
	$(BIN)/python -m tests.bench.many_manifests
	$(BIN)/python -m tests.bench.training_speed
	$(BIN)/python -m tests.bench.cluster_overhead
	$(BIN)/python -m tests.bench.makespan
	$(BIN)/python -m tests.bench.scale

fuzz: $(DEV)  ## Mutated manifests and data: no traceback, exact counts, within a second each; two readers of YAML agree
	$(BIN)/python -m tests.fuzz.manifests
	$(BIN)/python -m tests.fuzz.inputs
	$(BIN)/python -m tests.fuzz.archives
	$(BIN)/python -m tests.fuzz.parsers

stress: $(DEV)  ## Trainings and clusters killed, a registry that fails, variations around a build: an hour and more on two cores
	$(BIN)/python -m tests.stress.kills
	$(BIN)/python -m tests.stress.faults
	$(BIN)/python -m tests.stress.variations --each
	$(BIN)/python -m tests.stress.cluster

capsule: $(DEV)  ## A capsule of a small release, built from with no network in four ways: five minutes, needs root
	$(BIN)/python -m tests.stress.capsule

golden: $(DEV)  ## Write the expected step keys anew; the diff shows what will run again
	$(BIN)/python -m tests.golden.write

reference: $(READY)  ## Write the published schema and docs/manifest.md anew, from the types
	$(BIN)/tinsmith schema > manifests/manifest.schema.json
	$(BIN)/tinsmith schema --markdown > docs/manifest.md

toolchain-locks: $(READY)  ## Resolve docker/*/requirements.in into hashed locks
	UV=$(abspath $(BIN))/uv docker/lock-requirements

requirements: $(READY)  ## Resolve the control plane's own dependencies into the two hashed locks
	$(COMPILE) --extra build -o requirements.lock pyproject.toml
	$(COMPILE) --extra build --extra cluster --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit("tinsmith needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(call INSTALL,requirements.lock)
	touch $@

$(DEV): $(READY) requirements-dev.lock
	$(call INSTALL,requirements-dev.lock)
	touch $@

clean:
	rm -rf $(VENV) .tinsmith build
