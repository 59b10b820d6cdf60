# make demo and make test are all that a newcomer types; both set the environment up first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# The virtual environment's programs come first for every recipe, as if it were active.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv

.PHONY: setup
setup:
	@$(PYTHON) msd_spark/environment/setup.py

.PHONY: doctor
doctor: setup
	@python -m msd_spark.environment.doctor
