# Every target sets up what it needs; on a fresh machine `make run` and `make test` are all the set-up there is.
VENV ?= .venv
BIN := $(VENV)/bin
export VENV

.PHONY: help run test test-processes test-all check format browser screenshots interop peers binary demo bench conformance lock clean

help:
	@echo "make run      start a node (data in ~/.pinfold, or PINFOLD_PATH)"
	@echo "make test     the tests"
	@echo "make test-processes  tests that start many processes"
	@echo "make check    formatting, lint, types"
	@echo "make demo     three nodes on loopback: add, replicate, lose one, read back"
	@echo "make binary   one file: dist/pinfold, and its smoke test"
	@echo "make browser  tests of the gateway's pages in Chromium"
	@echo "make screenshots  the pictures of the docs, taken again"
	@echo "make interop  tests against real Kubo, ipfs-cluster, Helia and reverse proxies"
	@echo "make conformance  the gateway under gateway-conformance, where that is on the PATH"
	@echo "make bench    figures beside Kubo's"

run:
	@packaging/setup
	@$(BIN)/pinfold daemon --init

test:
	@packaging/setup dev
	$(BIN)/python -m pytest

test-processes:
	@packaging/setup dev
	$(BIN)/python -m pytest -m processes tests/processes

test-all:
	@packaging/setup dev
	$(BIN)/python -m pytest -m "not interop and not browser"

check:
	@packaging/setup dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format:
	@packaging/setup dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

browser:
	@packaging/setup dev
	$(BIN)/python -m pytest -m browser tests/browser

screenshots:
	@packaging/setup dev
	PYTHONPATH=$(CURDIR):$(CURDIR)/tests $(BIN)/python tests/browser/screenshots.py docs/images

peers:
	@packaging/peers

interop: peers
	@packaging/setup dev
	$(BIN)/python -m pytest -m interop tests/interop

binary:
	@packaging/setup dev binary
	@packaging/build
	$(BIN)/python packaging/smoke_test.py dist/pinfold

demo:
	@packaging/setup
	@$(BIN)/python packaging/demo.py

conformance:
	@packaging/setup
	@$(BIN)/python packaging/conformance.py

bench: peers
	@packaging/setup dev
	PYTHONPATH=$(CURDIR):$(CURDIR)/tests:$(CURDIR)/packaging $(BIN)/python -m benchmarks

lock:
	@packaging/setup dev binary
	$(BIN)/pip freeze --exclude-editable | grep -v '^pip==' > packaging/constraints.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
