# A newcomer types make demo and make test; both set up the environment first. make setup GPU=1 installs CUDA's TensorFlow.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Programs of the virtual environment come first in every recipe, as if it were active.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# horovodrun itself imports TensorFlow, which logs to the console unless this is set.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export VIRTUAL_ENV := $(CURDIR)/.venv
# Without bytecode files every Python process compiles its imports again: 5 s for TensorFlow.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup
setup:
	@test -n "$(PYTHON)" || { sh tools/prerequisites.sh; exit 1; }
	@$(PYTHON) tools/setup.py

.PHONY: doctor
doctor: setup
	@msd-spark doctor

# Resolve the pins of pyproject.toml again; the result names no index.
.PHONY: lock
lock:
	@test -x .venv/bin/uv || .venv/bin/python -m pip install --quiet --require-hashes -r requirements/installer.txt
	@uv pip compile pyproject.toml --extra cpu --extra build --extra dev $(LOCK_OPTIONS) -o requirements/lock.txt
	@uv pip compile pyproject.toml --extra gpu --extra build $(LOCK_OPTIONS) -o requirements/gpu.txt
	@echo "$$(python -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["horovod"][0])')" | uv pip compile - --no-deps --no-binary horovod $(LOCK_OPTIONS) -o requirements/horovod.txt
	@echo "$$(python -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["java"][0])')" | uv pip compile - $(LOCK_OPTIONS) -o requirements/java.txt
LOCK_OPTIONS = --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet

DATA ?=
WAREHOUSE ?= warehouse

# From song files to a report: on generated data in ./data, or on a folder laid out as docs/data.md says.
# Its Spark session is short: Java's quick compiler saves more than its slower code costs. It needs deeper stacks.
.PHONY: demo
demo: export PYSPARK_SUBMIT_ARGS = --driver-java-options "$(shell cat tools/java_options.txt)" pyspark-shell
demo: setup
ifeq ($(DATA),)
	@msd-spark synthetic --songs 1000 --seed 7 --output data --overwrite
	@msd-spark pipeline --data data --warehouse $(WAREHOUSE)
else
	@msd-spark pipeline --data $(DATA) --warehouse $(WAREHOUSE)
endif

# All tests of a file run in one process, so that they share fixtures; long files start first. Many tests wait for other
# processes, so there are two more test processes than cores, at most six.
ON_ALL_CORES = -n $(shell expr $$(nproc) + 2) --maxprocesses 6 --dist loadfile --no-loadscope-reorder

# tests/conftest.py runs make infra-tools while the fork server imports TensorFlow.
.PHONY: test
test: setup
	@python -m pytest $(ON_ALL_CORES) --durations 12 $(TESTS)

# Tests of the infrastructure only, offline, on an emulated AWS.
.PHONY: test-infra
test-infra: setup infra-tools
	@python -m pytest $(ON_ALL_CORES) tests/infra/test_stack.py tests/infra tests/tools/test_deployment.py

# 2,000 seeded random calls; the first four per verb that start Spark are repeated with Spark.
SEED ?= 0
.PHONY: test-fuzz
test-fuzz: setup
	@python -m tests.support.fuzz --calls 2000 --seed $(SEED) --spark 4 --folder $$(mktemp -d)

# All stages on a Spark cluster of network namespaces, with faults. Needs root; skips without.
.PHONY: test-cluster
test-cluster: setup
	@python -m pytest -v --durations 12 --timeout 1800 tests/cluster

# Apply each change in tests/mutations/mutations.toml to a copy of the code: its tests must fail. FILES: words in the paths of
# the changed files, to test only some; JOBS: how many at a time.
FILES ?=
JOBS ?= $(shell nproc)
.PHONY: test-mutations
test-mutations: setup
	@python -m tests.mutations --jobs $(JOBS) $(FILES)

# checkov's pins conflict with ours, so its environment is separate. The stamp's name has the lock's checksum.
INFRA_STAMP = .venv-infra/made-from-$(shell sha256sum requirements/infra.txt | cut -c1-16)
.PHONY: infra-tools
infra-tools: $(INFRA_STAMP)

$(INFRA_STAMP): | setup
	@python -c 'import shutil; shutil.rmtree(".venv-infra", ignore_errors=True)'
	@python -m venv .venv-infra
	@uv pip install --quiet --python .venv-infra/bin/python --require-hashes -r requirements/infra.txt \
		|| .venv-infra/bin/python -m pip install --quiet --require-hashes -r requirements/infra.txt
	@touch $@

# Build a release for a cluster and upload it to the artefacts bucket (docs/aws.md); without BUCKET it is only built.
# PACKAGE_OPTIONS: further options of tools.deployment.package.
BUCKET ?=
REGION ?= us-east-1
.PHONY: package
package: setup
	@python -m tools.deployment.package --region $(REGION) $(if $(BUCKET),--bucket $(BUCKET)) $(PACKAGE_OPTIONS)

.PHONY: lint
lint: setup
	@ruff format --check .
	@ruff check .
	@lint-imports --no-logo
	@python -m tools.check_prose
	@mypy

BENCHMARKS = $(filter-out __init__,$(basename $(notdir $(wildcard benchmarks/*.py))))

# Each benchmark prints one table and writes build/bench/NAME.json.
.PHONY: bench $(addprefix bench-,$(BENCHMARKS))
bench: $(addprefix bench-,$(BENCHMARKS))

$(addprefix bench-,$(BENCHMARKS)): bench-%: setup
	@python -m benchmarks.$*
