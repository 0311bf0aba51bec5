# The project's commands. Each makes what it needs on first use: a virtual environment in .venv, filled from the locks in
# requirements/. They need make and Python 3.10 or newer, and write nowhere but into folders that Git ignores.
#
#     demo.txt  ⊂  dev.txt  ⊂  bench.txt      one set of versions, so one environment grows from the left to the right

# Set it to choose an interpreter: make PYTHON=python3.12 test. Another one than that of .venv makes .venv again.
PYTHON ?=
# More arguments for the command that a target runs: make test ARGS="-k manifest"
ARGS ?=
# Where `make ui` listens.
PORT ?= 3000
# Processes that `make test` uses. Tests wait a lot: twice the number of cores is fastest. 0: one process, for a debugger.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((2 * n > 8 ? 8 : 2 * n)))

VENV := .venv
BIN := $(VENV)/bin
# `python -m` rather than the scripts in $(BIN): those name the interpreter by a path, which may be too long for a script.
RUN := $(BIN)/python -m
PYTEST = $(RUN) pytest -n $(WORKERS) --dist loadgroup

# The environment of whoever calls must not decide which interpreter or which packages are used, nor (as in some images of
# containers) that each of the many processes of the tests compiles all of them again.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Certificates of the system, as pip uses them: behind a company's proxy only those know its authority.
export UV_SYSTEM_CERTS := 1
# Dagster would report these runs to its makers, and would write an id for that into the home folder.
export DAGSTER_DISABLE_TELEMETRY := 1
# Without a home folder that can be written (a container, a build user), caches stay in here.
ifneq ($(shell test -d "$$HOME" && test -w "$$HOME" && echo writable),writable)
export XDG_CACHE_HOME := $(CURDIR)/.cache
export UV_CACHE_DIR := $(CURDIR)/.cache/uv
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
endif

# PYTHON is given and .venv was made with another one: its stamp is removed, so that the targets make .venv again.
identity = $(shell $(1) -c 'import sys; print(sys.base_prefix, sys.version.split()[0])' 2>/dev/null)
ifneq ($(and $(PYTHON),$(wildcard $(VENV)/.uv)),)
ifeq ($(call identity,$(PYTHON)),)
$(error PYTHON=$(PYTHON) cannot be run)
endif
ifneq ($(call identity,$(PYTHON)),$(call identity,$(BIN)/python))
$(info $(VENV) is of another Python than $(PYTHON): making it again)
$(shell rm -f $(VENV)/.uv)
endif
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo ui test test-fast test-programs test-bounds lint types images bench lock clean

help: ## list the targets
	@printf 'usage: make TARGET [ARGS="…"] [PYTHON=python3.x]\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo .dagster/dagster.yaml ## watch sample robot logs arrive as Dagster assets, on this machine
	@DAGSTER_HOME="$(CURDIR)/.dagster" $(BIN)/python examples/demo.py $(ARGS)

ui: $(VENV)/.demo .dagster/dagster.yaml ## open the example in Dagster's UI (PORT=3000)
	@$(BIN)/python -c 'import socket; socket.create_server(("127.0.0.1", $(PORT))).close()' 2>/dev/null || \
		{ echo "make: port $(PORT) is in use or no port. Stop what listens there, or choose another: make ui PORT=3001" >&2; exit 1; }
	@DAGSTER_HOME="$(CURDIR)/.dagster" $(BIN)/python -W 'ignore:Function `dev_command` is superseded:FutureWarning' \
		-m dagster dev -w workspace.yaml -p $(PORT) $(ARGS)

test: $(VENV)/.dev ## run the tests, side by side (ARGS goes to pytest)
	$(PYTEST) -m "not programs" $(ARGS)

test-fast: $(VENV)/.dev ## run the tests without the slow ones
	$(PYTEST) -m "not programs and not slow" $(ARGS)

test-programs: $(VENV)/.dev ## run the tests that need Chromium, nginx, Redis, PostgreSQL or SeaweedFS
	$(PYTEST) -m programs $(ARGS)

test-bounds: $(VENV)/.uv ## try the oldest and the newest dependencies (ARGS=--all: on each Python)
	$(BIN)/python tests/bounds.py $(ARGS)

lint: $(VENV)/.dev ## check style and format
	$(RUN) ruff check $(ARGS)
	$(RUN) ruff format --check $(ARGS)

types: $(VENV)/.dev ## check types, strictly
	$(RUN) mypy $(ARGS)

images: $(VENV)/.dev ## take the pictures in docs/images again, from the UI in a browser
	UI_IMAGES=docs/images $(RUN) pytest -m ui $(ARGS)

bench: $(VENV)/.bench ## measure the engine and its peers (ARGS="--parts topics": topics as tables)
	$(RUN) benchmarks $(ARGS)

lock: $(VENV)/.uv ## resolve requirements/ again (ARGS=--upgrade for newer versions)
	$(COMPILE) --group installer -o requirements/uv.txt
	$(COMPILE) pyproject.toml $(EXTRAS) --group dev --group bench -o requirements/bench.txt
	$(COMPILE) pyproject.toml $(EXTRAS) --group dev -c requirements/bench.txt -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra local --group demo -c requirements/bench.txt -o requirements/demo.txt

clean: ## remove everything that the targets have made
	rm -rf $(VENV) .cache .dagster .demo .mypy_cache .pytest_cache .ruff_cache .coverage .coverage.* htmlcov build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

EXTRAS := --extra local --extra topics --extra topics-ros --extra topics-px4
# For every Python and platform at once, and for any registry: no address gets into the files.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(RUN) uv pip compile --quiet --universal --python-version 3.10 \
	--generate-hashes --no-emit-index-url --no-annotate $(ARGS)

# $(call install,requirements/NAME.txt): what the lock names, checked against its hashes, then the project itself.
# uv takes seconds. It does not read pip's configuration, so where only pip knows a way to the registry, pip does it:
# without resolving, since the lock is complete, and older pips stumble over a pin that lacks the extra that is asked for.
# What either writes goes to a log, whose end is shown only if both fail.
define install
	@echo "Installing $(1) into $(VENV)"
	@$(RUN) uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) >$(VENV)/install.log 2>&1 || \
		$(RUN) pip install --quiet --retries 1 --no-deps --require-hashes -r $(1) >>$(VENV)/install.log 2>&1 || \
		{ tail -n 3 $(VENV)/install.log >&2; \
		echo "make: $(1) could not be installed. Is a package registry reachable? All of it: $(VENV)/install.log" >&2; exit 1; }
	@$(RUN) pip install --quiet --no-deps --no-build-isolation --no-index -e .
	@touch $(VENV)/.demo
endef

$(VENV)/.demo: requirements/demo.txt pyproject.toml $(VENV)/.uv
	$(call install,$<)

$(VENV)/.dev: requirements/dev.txt pyproject.toml $(VENV)/.uv
	$(call install,$<)
	@touch $@

$(VENV)/.bench: requirements/bench.txt pyproject.toml $(VENV)/.uv
	$(call install,$<)
	@touch $(VENV)/.dev $@

# The first interpreter that will do. Some names on the PATH are shims without a Python behind them: each is tried.
$(VENV)/.uv: requirements/uv.txt
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python3.10 python); do \
		if "$$python" -c 'import sys, ensurepip, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 15))' \
			2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "make: no Python from 3.10 to 3.14 with the modules venv and ensurepip among:" \
			"$(or $(PYTHON),python3, python3.10 to python3.14)." >&2; \
		echo "Install one (on Debian and Ubuntu: python3 and python3-venv), or name one: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv --clear $(VENV)
	@$(RUN) pip install --quiet --require-hashes -r $<
	@touch $@

# Dagster wants its home to exist. The dialog of a first visit would cover the page that the reader came for.
.dagster/dagster.yaml:
	@mkdir -p .dagster
	@printf 'nux:\n  enabled: false\ntelemetry:\n  enabled: false\n' > $@
