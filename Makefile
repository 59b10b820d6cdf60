# make demo and make test are all that a newcomer types; both set the environment up first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# The virtual environment's programs come first for every recipe, as if it were active.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# horovodrun loads TensorFlow too, before any of our code can quieten it.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export VIRTUAL_ENV := $(CURDIR)/.venv
# Where bytecode is not kept, each of the many Python processes compiles what it imports anew: 5 s for TensorFlow.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup
setup:
	@$(PYTHON) tools/setup.py

.PHONY: doctor
doctor: setup
	@python -m msd_spark.environment.doctor

# Resolves the pins of pyproject.toml anew; what it writes names no index.
.PHONY: lock
lock:
	@test -x .venv/bin/uv || .venv/bin/python -m pip install --quiet --require-hashes -r requirements/installer.txt
	@uv pip compile pyproject.toml --extra cpu --extra build --extra dev $(LOCK_OPTIONS) -o requirements/lock.txt
	@uv pip compile pyproject.toml --extra gpu --extra build $(LOCK_OPTIONS) -o requirements/gpu.txt
	@echo "$$(python -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["horovod"][0])')" | uv pip compile - --no-deps --no-binary horovod $(LOCK_OPTIONS) -o requirements/horovod.txt
	@echo "$$(python -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["java"][0])')" | uv pip compile - $(LOCK_OPTIONS) -o requirements/java.txt
LOCK_OPTIONS = --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet

DATA ?=
WAREHOUSE ?= build/demo
DEMO_DATA = build/demo-data

# From song files to an embedding for every song: on generated data, or on a folder laid out as the README says.
.PHONY: demo
demo: setup
ifeq ($(DATA),)
	@python -m msd_spark.synthetic.command --songs 1000 --seed 7 --output $(DEMO_DATA) --overwrite
	@python -m msd_spark.pipeline.command --data $(DEMO_DATA) --warehouse $(WAREHOUSE)
else
	@python -m msd_spark.pipeline.command --data $(DATA) --warehouse $(WAREHOUSE)
endif

# A file's tests stay in one process, so that what they share is made once; long files begin first.
ON_ALL_CORES = -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: test
test: setup $(if $(shell command -v terraform),infra-tools)
	@python -m pytest $(ON_ALL_CORES) --durations 12 $(TESTS)

# The infrastructure's tests alone: offline, on an emulated AWS; ends with a table. The longest file goes first.
.PHONY: test-infra
test-infra: setup infra-tools
	@python -m pytest $(ON_ALL_CORES) tests/infra/test_stack.py tests/infra tests/tools/test_deployment.py

# Their checkers, in an environment of their own: checkov's pins and ours do not agree. The stamp is the lock's checksum.
INFRA_STAMP = .venv-infra/made-from-$(shell sha256sum requirements/infra.txt | cut -c1-16)
.PHONY: infra-tools
infra-tools: $(INFRA_STAMP)

$(INFRA_STAMP): | setup
	@python -c 'import shutil; shutil.rmtree(".venv-infra", ignore_errors=True)'
	@python -m venv .venv-infra
	@uv pip install --quiet --python .venv-infra/bin/python --require-hashes -r requirements/infra.txt \
		|| .venv-infra/bin/python -m pip install --quiet --require-hashes -r requirements/infra.txt
	@touch $@

# What the cluster needs, built and put into the artefacts bucket (README, "On AWS"); without BUCKET it is only built.
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
	@lint-imports --no-logo | tail -n 40
	@python -m tools.check_prose
	@mypy

BENCHMARKS = $(filter-out __init__,$(basename $(notdir $(wildcard benchmarks/*.py))))

# Each prints one table and writes build/bench/NAME.json.
.PHONY: bench $(addprefix bench-,$(BENCHMARKS))
bench: $(addprefix bench-,$(BENCHMARKS))

$(addprefix bench-,$(BENCHMARKS)): bench-%: setup
	@python -m benchmarks.$*
