# Everything happens in $(VENV), from the wheel that users get; where packages come from is pip's own configuration.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=

bin := $(VENV)/bin
pip := $(bin)/python -m pip --disable-pip-version-check
layers := package schemas core replay sdk actors console
sources := pyproject.toml README.md LICENSE tools/editable.py $(shell find $(layers) -name __pycache__ -prune -o -print)

# The wheel's requirements first (nothing is fetched when they are met), then its code, even if the version is the same.
define install
	$(pip) install -q -c constraints.txt "$$(echo dist/*.whl)$(1)"
	$(pip) install -q --no-deps --force-reinstall dist/*.whl
	@touch $@
endef

.PHONY: help demo test kafka check bench wheel develop clean distclean
.DELETE_ON_ERROR:

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do printf 'make %-10s %s\n' "$$name" "$$what"; done
	@echo 'Variables: PYTHON=python3 (3.11 or newer), VENV=.venv, ARGS="..." for the demo, pytest or the bench'

demo: $(VENV)/.installed ## a small fleet, real faults, and what HMS does about them (under 45 s)
	$(bin)/hms demo $(ARGS)

test: $(VENV)/.installed-dev ## the whole test suite on the built wheel
	@$(bin)/python tests/kafka/jars.py || true # without a Kafka the last line says what did not run
	$(bin)/pytest $(ARGS)

kafka: $(VENV)/.made ## fetch the Kafka that the tests run (with Maven, for Java 17; `make test` does it too, if it can)
	$(bin)/python tests/kafka/jars.py

check: $(VENV)/.installed-dev ## format, lint, types (on the built wheel), layers
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/mypy
	$(bin)/lint-imports

bench: $(VENV)/.installed-bench ## measure; the results go to docs/benchmarks.md
	$(bin)/python bench $(or $(ARGS),--write)

wheel: dist/.built ## build dist/*.whl

develop: .venv-develop/.installed ## an editable install in .venv-develop
	@echo 'Use it with: . .venv-develop/bin/activate'

clean: ## remove what was built and every cache
	rm -rf dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage

distclean: clean ## the same, and the virtual environments
	rm -rf $(VENV) .venv-develop .editable

$(VENV)/.made .venv-develop/.made: tools/make-venv.sh
	tools/make-venv.sh "$(PYTHON)" $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt hatchling
	@touch $@

dist/.built: $(sources) | $(VENV)/.made
	rm -rf dist
	$(pip) wheel -q --no-deps --no-build-isolation -w dist .
	@touch $@

$(VENV)/.installed: dist/.built constraints.txt $(VENV)/.made
	$(call install)

$(VENV)/.installed-%: dist/.built constraints.txt $(VENV)/.made
	$(call install,[$*])

.venv-develop/.installed: pyproject.toml constraints.txt tools/editable.py .venv-develop/.made
	.venv-develop/bin/python -m pip --disable-pip-version-check install -q --no-build-isolation -c constraints.txt -e '.[dev]'
	@touch $@
