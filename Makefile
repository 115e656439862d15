# Every target sets up what it needs; on a fresh machine `make run` and `make test` are all the set-up there is.
# How long each one takes: CONTRIBUTING.md.
VENV ?= .venv
BIN := $(VENV)/bin
export VENV

.PHONY: help run demo test-one test test-processes test-all check lint typecheck format browser screenshots \
	peers interop conformance binary bench lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /make \1|/p' Makefile | awk -F '|' '{ printf "%-20s %s\n", $$1, $$2 }'

run: ## start a node (data in ~/.pinfold, or PINFOLD_PATH)
	@packaging/setup
	@$(BIN)/pinfold daemon --init

demo: ## three nodes on loopback: add, replicate, lose one, read back
	@packaging/setup
	@$(BIN)/python packaging/demo.py

test-one: ## one test, file or folder, of whatever kind: make test-one T=tests/blockstore/test_cid.py
	@test -n "$(T)" || { echo "which one? make test-one T=tests/blockstore/test_cid.py" >&2; exit 2; }
	@packaging/setup dev
	$(BIN)/python -m pytest -m "" $(T)

test: ## the tests, on as many cores as there are
	@packaging/setup dev
	$(BIN)/python -m pytest -n auto --dist worksteal

test-processes: ## the command as users run it, and the installation
	@packaging/setup dev
	$(BIN)/python -m pytest -n auto --dist worksteal -m "processes and not slow" tests/processes

test-all: ## both, large inputs, and examples of property tests that are new each time
	@packaging/setup dev
	$(BIN)/python -m pytest --hypothesis-profile=search -m "not interop and not browser"

check: lint typecheck ## formatting, lint, types

lint: ## formatting and lint
	@packaging/setup dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

typecheck: ## types
	@packaging/setup dev
	$(BIN)/mypy

format: ## write the formatting, and what lint can mend
	@packaging/setup dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

browser: ## tests of the gateway's pages in Chromium
	@packaging/setup dev
	$(BIN)/python -m pytest -m browser tests/browser

screenshots: ## the pictures of the docs, taken again
	@packaging/setup dev
	PYTHONPATH=$(CURDIR):$(CURDIR)/tests:$(CURDIR)/packaging $(BIN)/python tests/browser/screenshots.py docs/images

peers: ## build Kubo, ipfs-cluster and Helia, once, outside of the checkout
	@packaging/peers

interop: peers ## tests against real Kubo, ipfs-cluster, Helia and reverse proxies
	@packaging/setup dev
	$(BIN)/python -m pytest -m interop tests/interop

conformance: ## the gateway under gateway-conformance, where that is on the PATH
	@packaging/setup
	@$(BIN)/python packaging/conformance.py

binary: ## one file: dist/pinfold, and its smoke test
	@packaging/setup dev binary
	@packaging/build
	$(BIN)/python packaging/smoke_test.py dist/pinfold

bench: peers ## figures beside Kubo's
	@packaging/setup dev
	PYTHONPATH=$(CURDIR):$(CURDIR)/tests:$(CURDIR)/packaging $(BIN)/python -m benchmarks

lock: ## write packaging/constraints.txt anew, from what is installed
	@packaging/setup dev binary
	$(BIN)/pip freeze --exclude-editable | grep -v '^pip==' > packaging/constraints.txt

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
