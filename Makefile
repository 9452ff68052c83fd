# Every target sets up what it needs first; a second run finds it there. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SYSTEM_STAMP := $(VENV)/.system-stamp
TESTS_STAMP := $(VENV)/.tests-stamp
PYTHON_STAMP := $(VENV)/.python-stamp
INSTALL_STAMP := $(VENV)/.install-stamp
WEB_STAMP := $(VENV)/.web-stamp
NODE_STAMP := $(VENV)/.node-stamp
WEB_PACKAGES_STAMP := web/node_modules/.stamp
WEB_SOURCES := $(shell find web/src web/public -type f ! -name schema.d.ts 2>/dev/null) $(wildcard web/*.ts web/*.json web/*.html)
API_SOURCES := $(shell find src/ringfence/controller src/ringfence/model -name '*.py')
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help setup web demo test test-slow test-quick lab-root bench docs lint generate requirements clean

help:  ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALL_STAMP)  ## Install Debian packages (as root) and Python packages, once

web: $(WEB_STAMP)  ## Build the web interface into the controller (again only if something of it changed)

demo: setup $(if $(filter-out 0,$(KEEP)),web)  ## Build a cloud on this machine and show what it keeps apart (KEEP=1 leaves it running)
	@KEEP=$(KEEP) $(BIN)/python -m ringfence.lab.demo

test: setup web $(TESTS_STAMP)  ## Run all tests but test-slow; those on the lab need root
	@if [ "$$(id -u)" != 0 ]; then echo "The lab tests need root, and make test runs them all. Without: make test-quick"; exit 1; fi
	@$(MAKE) lab-root
	@RINGFENCE_NEED_LAB=1 $(BIN)/python -m pytest -m "not slow" $(PYTEST)

test-slow: setup  ## The tests that take minutes each: the Debian guest
	@RINGFENCE_NEED_LAB=1 $(BIN)/python -m pytest -m slow $(PYTEST)

test-quick: setup web $(TESTS_STAMP)  ## Run the tests that need no root and no lab
	@$(BIN)/python -m pytest -m "not lab" $(PYTEST)

lab-root: setup  ## Build the root file system of the lab's hosts, once
	@$(BIN)/python -c "from ringfence.lab import rootfs; rootfs.root(rootfs.host_recipe(), print)"

bench: setup  ## Measure all figures, or one: make bench NAME=create
	@$(BIN)/python -m bench $(NAME)

docs: setup  ## Build the documentation into build/site
	@$(BIN)/mkdocs build --strict --quiet --site-dir build/site
	@echo "build/site/index.html"

lint: setup web  ## Check form, types and imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@cd web && npm run --silent check

generate: setup  ## Write the generated pages of the documentation anew
	@$(BIN)/python docs/generate.py

requirements: setup  ## Pin the Python packages anew, with hashes (needs uv)
	@uv pip compile --universal --python-version 3.11 --extra dev --generate-hashes --no-emit-index-url --no-header \
		--quiet pyproject.toml --output-file requirements.txt

clean:  ## Take every lab on this machine away, and all that was built
	@if [ -x $(BIN)/python ] && [ "$$(id -u)" = 0 ]; then \
		$(BIN)/python -c "from ringfence.lab.cloud import Lab, labs; [Lab(name).down() for name in labs()]"; fi
	@rm -rf --one-file-system build

# Packages are looked up with dpkg, not remembered: another checkout may have installed them, or someone removed one.
define install_packages
	@missing=$$(for p in $$(grep -v '^#' $(1)); do \
		dpkg-query --show --showformat='$${db:Status-Status}\n' $$p 2>/dev/null | grep -qx installed || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" != 0 ]; then echo "Install these Debian packages first, or run make as root:" $$missing; exit 1; fi; \
		echo "Installing Debian packages:" $$missing; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get -qq update; \
		apt-get -qq install --yes --no-install-recommends $$missing >/dev/null; \
	fi
	@mkdir -p $(VENV) && touch $@
endef

$(SYSTEM_STAMP): deploy/packages-machine.txt
	$(call install_packages,deploy/packages-machine.txt)

$(TESTS_STAMP): deploy/packages-tests.txt
	$(call install_packages,deploy/packages-tests.txt)

# setuptools goes in by itself first, by the hash in requirements.txt: one package has no wheel, and would otherwise be
# built with whatever setuptools the index offers that day.
$(PYTHON_STAMP): requirements.txt $(SYSTEM_STAMP)
	@echo "Installing Python packages"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@sed -n '/^setuptools==/,/^    # via/p' requirements.txt > $(VENV)/setuptools.txt
	@$(PIP) --require-hashes --no-deps -r $(VENV)/setuptools.txt
	@$(PIP) --require-hashes --no-deps --no-build-isolation -r requirements.txt
	@touch $@

$(INSTALL_STAMP): pyproject.toml $(PYTHON_STAMP)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# Node.js comes from Debian unless there is one. What it installs is what package-lock.json says, by its hashes.
$(NODE_STAMP): deploy/packages-web.txt | $(SYSTEM_STAMP)
	$(if $(shell command -v node && command -v npm),@touch $@,$(call install_packages,deploy/packages-web.txt))

$(WEB_PACKAGES_STAMP): web/package.json web/package-lock.json | $(NODE_STAMP)
	@echo "Installing npm packages"
	@cd web && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

# The types of the API come from its own description, so that the interface cannot speak another one.
$(WEB_STAMP): $(WEB_SOURCES) $(API_SOURCES) $(WEB_PACKAGES_STAMP) | $(INSTALL_STAMP)
	@echo "Building the web interface"
	@mkdir -p build
	@$(BIN)/python -m ringfence.controller.api.description > build/openapi.json
	@cd web && node_modules/.bin/openapi-typescript ../build/openapi.json --output src/api/schema.d.ts --default-non-nullable=false >/dev/null
	@cd web && npm run --silent check
	@cd web && npm run --silent build -- --logLevel warn
	@touch $@
