# make demo              install and judge a genuine broken run
# make monitor-demo      a small training goes wrong; the monitor sees it and stops it
# make monitor-grpo      the same for GRPO: a preset, and a file that asks the training to stop
# make test              lint, types, every test but the integrations
# make test-integrations what needs a browser or other tools' own packages
# make fuzz              200,000 damaged logs, an hour or two
# make explore           every property on new random examples
# make bench             the budgets, as ratios against baselines in the same run
# make docs              the generated pages
# make golden            the views that tests/golden keeps, and the limits of every rule: read the diff

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
RUN := tests/fixtures/trl-grpo-collapse
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Compiled tests and modules are kept: else each worker compiles all of them, and so does each process that a test starts.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: explore fuzz demo monitor-demo monitor-grpo test test-fast test-slow test-integrations lint types bench golden docs clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.core
	@mkdir -p artifacts
	@$(BIN)/rldk doctor $(RUN) --html artifacts/report.html --fail-on never
	@echo "The same with charts: artifacts/report.html"

# $(call watched,training,monitor): both at once; the training is started first, and its process is --pid
watched = $(BIN)/python $(1) --out artifacts/run.jsonl --sleep 0.02 & pid=$$!; \
	$(BIN)/rldk monitor --stream artifacts/run.jsonl $(2) --pid $$pid --alerts artifacts/alerts.jsonl \
	--report artifacts/report.json --plain; code=$$?; wait $$pid; exit $$code

monitor-demo: $(VENV)/.core
	@mkdir -p artifacts
	@rm -f artifacts/run.jsonl artifacts/alerts.jsonl artifacts/report.json artifacts/STOP
	@$(call watched,examples/minimal_streaming_loop.py --steps 800,--rules rules.yaml)

monitor-grpo: $(VENV)/.core
	@mkdir -p artifacts
	@rm -f artifacts/run.jsonl artifacts/alerts.jsonl artifacts/report.json artifacts/STOP
	@$(call watched,examples/grpo_minimal_loop.py --steps 600,--rules grpo_safe --rules examples/sentinel.yaml)

test: lint types test-fast test-slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

test-fast: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --hypothesis-profile=quick -m "not slow and not integration"

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "(slow or hypothesis) and not integration"

test-integrations: $(VENV)/.integrations
	@command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && apt-get update -qq && apt-get install -qq -y chromium >/dev/null; } || \
		echo "no chromium on this machine: the browser test will be skipped"
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m integration

explore: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --hypothesis-profile=explore -m "hypothesis and not integration"

fuzz: $(VENV)/.dev
	$(BIN)/python scripts/fuzz.py

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

golden: $(VENV)/.dev
	RLDK_GOLDEN=write $(BIN)/python -m pytest -q -k golden -m "not slow and not integration"
	$(BIN)/python scripts/limits.py

docs: $(VENV)/.dev
	$(BIN)/python -m rldk.docs

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "rldk needs Python 3.11 or newer; none was found. Name one: make demo PYTHON=/path/to/python3"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "python's venv module is missing (Debian and Ubuntu: apt install python3-venv)"; exit 2; }

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	@echo "installing rldk into $(VENV) (once, about a minute) ..."
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@echo "installing rldk and its development tools into $(VENV) (once, a minute or two) ..."
	@$(PIP) -e ".[dev]"
	@touch $@ $(VENV)/.core

$(VENV)/.integrations: $(VENV)/.dev
	@$(PIP) -e ".[dev,integrations]"
	@touch $@

clean:
	rm -rf $(VENV) artifacts build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
