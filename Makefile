# Everything that a newcomer, a developer or CI asks for. GNU make, on Linux or macOS; README.md has the same for Windows.
# Recipes use relative paths only: the folder of the clone may have spaces in its name.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help study test lab check bench chaos fuzz peers clean environment FORCE

# The Python that builds .venv: python3, or the first of these that is new enough. `make study PYTHON=/path/to/python3.12` decides.
PYTHON ?=
candidates := $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11 python)
venv := .venv/bin/python
stamp := .venv/.installed
nbstripout := -m nbstripout --extra-keys metadata.language_info --verify

# The stamp holds the folder that it was made in: a copied or moved clone would otherwise run the sources of the old place.
export here := $(CURDIR)
ifneq "$(shell cat $(stamp) 2>/dev/null)" "$(CURDIR)"
$(stamp): FORCE
endif

help: ## Say what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

study: $(stamp) ## Set everything up and run the built-in study `quick`: from nothing to a verdict
	.venv/bin/shipworthy run quick

test: $(stamp) ## Set everything up and run the tests (JOBS=4 runs four side by side instead of two)
	@beside=passed; alone=passed; \
	echo "Most tests, $(or $(JOBS),2) side by side:"; \
	$(venv) -m pytest -n $(or $(JOBS),2) --dist loadfile --no-loadscope-reorder -m 'not alone' || beside=FAILED; \
	echo "Then those that time or weigh something, with nothing beside them:"; \
	$(venv) -m pytest -m alone || alone=FAILED; \
	echo "Tests side by side: $$beside. Tests that time or weigh something: $$alone."; \
	test "$$beside$$alone" = passedpassed

lab: $(stamp) ## Open the notebooks in JupyterLab
	.venv/bin/shipworthy lab

check: $(stamp) ## Check style, format, types, and that notebooks hold no outputs
	$(venv) -m ruff check
	$(venv) -m ruff format --check
	$(venv) -m mypy --strict src
	find notebooks -name '*.ipynb' -not -path '*/.ipynb_checkpoints/*' -exec $(venv) $(nbstripout) {} +
	@echo "All checks passed."

bench: $(stamp) ## Measure speed beside peers; results in outputs/benchmarks/
	$(venv) tests/benchmarks/run.py

chaos: $(stamp) ## Kill a small study at 50 moments; each must complete to the same tables; then print a gigabyte (KILLS=5 SEED=1 for others)
	$(venv) tests/chaos.py --kills $(or $(KILLS),50) --seed $(or $(SEED),0)
	SHIPWORTHY_TEST_PRINTED_MIB=512 $(venv) -m pytest -q tests/test_study_limits.py

fuzz: $(stamp) ## Give the command 2,000 bad inputs; each must be refused in one sentence (INPUTS=200 SEED=1 for others)
	$(venv) tests/fuzz.py --inputs $(or $(INPUTS),2000) --seed $(or $(SEED),0)

peers: $(patsubst tests/benchmarks/peers/%.txt,.peers/%/.installed,$(wildcard tests/benchmarks/peers/*.txt)) ## Install each peer in an environment of its own, for `make bench`

environment: $(stamp) ## Set everything up and run nothing

clean: ## Remove the environments and caches; outputs stay
	rm -rf .venv .peers .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +

# $(call find_python,COMMANDS): shell code that sets $$python to the first command that is a Python we support, or explains.
define find_python
python=; \
for candidate in $(candidates); do \
	if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then python=$$candidate; break; fi; \
done; \
if [ -z "$$python" ]; then \
	echo "Shipworthy needs Python 3.11, 3.12 or 3.13, and none of these is one: $(candidates). Install one and say 'make $(or $(MAKECMDGOALS),study) PYTHON=/path/to/python3.12'." >&2; \
	exit 2; \
fi
endef

# An environment that works and was made here is kept, and brought up to date; any other is made anew.
# pip compiles to byte code what it installs; without that every kernel start would pay seconds for it.
$(stamp): pyproject.toml constraints.txt
	@$(find_python); \
	clear=--clear; \
	if $(venv) -c '' 2>/dev/null && [ "$$(cat $(stamp) 2>/dev/null)" = "$$here" ]; then clear=; fi; \
	"$$python" -m venv $$clear .venv || { echo "Python could not make .venv: on Debian and Ubuntu 'apt-get install python3-venv' brings what it needs." >&2; exit 2; }
	@echo "Installing the pinned packages into .venv: a minute or two, 1.6 GB."
	@$(venv) -m pip install --quiet --disable-pip-version-check --compile --constraint constraints.txt --editable '.[dev]'
	@printf '%s' "$$here" > $(stamp)

.peers/%/.installed: tests/benchmarks/peers/%.txt
	@$(find_python); "$$python" -m venv --clear '.peers/$*'
	'.peers/$*/bin/python' -m pip install --quiet --disable-pip-version-check --compile --requirement '$<'
	@touch '$@'
