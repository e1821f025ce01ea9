# One environment a stack: the Python decides which (3.11 and up: modern; 3.8 - 3.10: classic).
#
#   PYTHON       the interpreter behind .venv (default: python3 if it is 3.8 - 3.12, else the
#                first of 3.11, 3.12, 3.10, 3.9, 3.8 that can be found)
#   HOST         the distribution of fairseq, of those in constraints/hosts (default: the first that
#                constraints/host.py has for the Python); a named one has environments of its own:
#                `make test HOST=fairseq-fixed` runs in .venv-fairseq-fixed
#   PYTEST_ARGS  how pytest is called (default: two processes)
#   OUT          where `make demo` writes (default: runs/quickstart)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

OUT ?= runs/quickstart
SHELL_SCRIPTS = .ci/run $(wildcard examples/*/*.sh)
PYTEST_ARGS ?= -q -n 2 --dist worksteal

# $(call find-python,VERSION...): the first interpreter of these versions that runs and can make
# environments. Versions that pyenv has but has not activated count too: their shim exists and
# fails, so every candidate is tried by running it.
find-python = $(shell for version in $(1); do \
	  for candidate in python$$version \
	      "$$(pyenv root 2>/dev/null || echo /nonexistent)"/versions/$$version.*/bin/python; do \
	    "$$candidate" -c 'import ensurepip, ssl, sys; \
	      sys.exit("%d.%d" % sys.version_info[:2] != "'$$version'")' >/dev/null 2>&1 \
	      && { command -v "$$candidate"; exit; }; \
	  done; done; true)

python-modern = $(call find-python,3.11 3.12)
python-classic = $(call find-python,3.10 3.9 3.8)
python-default = $(shell python3 -c 'import ensurepip, sys; \
	sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1 && command -v python3)

ifeq ($(origin PYTHON),undefined)
PYTHON = $(or $(python-default),$(python-modern),$(python-classic))
endif

# The Python of every environment, by its folder: .venv for what is used, .venv-modern and
# .venv-classic for a stack, .venv-3.N for one Python; the name of the host follows where it is given.
ifeq ($(origin HOST),environment)
HOST =  # some shells export the name of the machine as HOST: here it has to be said to make
endif
of-host = $(HOST:%=-%)
venv = .venv$(of-host)
.venv$(of-host)_PYTHON = $(PYTHON)
.venv-modern$(of-host)_PYTHON = $(python-modern)
.venv-classic$(of-host)_PYTHON = $(python-classic)
$(foreach version,3.8 3.9 3.10 3.11 3.12 3.13,\
	$(eval .venv-$(version)$(of-host)_PYTHON = $$(call find-python,$(version))))

# Torch threads fight over the cores with the processes of pytest-xdist.
pytest = OMP_NUM_THREADS=1 $(1)/bin/python -m pytest tests $(PYTEST_ARGS)

# docs/ is a folder, too: all of these are made whenever they are asked for.
.PHONY: help venv demo dist docs bench bench-gpu test test-gpu test-all test-slow test-modern test-classic lint format clean \
	which-modern which-classic

help:  ## list the targets
	@grep -hE '^[a-z3.%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/%/N/; s/:.*## /\t/' | expand -t 16

venv: $(venv)/.done  ## build .venv, or .venv-HOST, with the pinned versions for the Python it finds

demo: $(venv)/.done  ## make a corpus, train, differentiate and score; OUT=DIR
	$(venv)/bin/fairseq-gist experiment examples/quickstart/quickstart.toml -o "$(OUT)"

# -E: what changed in the code doesn't tell Sphinx that the pages made from it have to change.
docs: $(venv)/.done  ## build the pages, build/docs/index.html; a warning is an error
	@$(venv)/bin/python -c "import sphinx" 2>/dev/null || \
	    { echo "make: pages are built on the modern stack, and $(venv) isn't of Python 3.11 or 3.12" >&2; \
	      exit 1; }
	$(venv)/bin/python -m sphinx -W --keep-going -E -q -d build/doctrees -c docs/site . build/docs

bench: $(venv)/.done  ## measure what the plugin costs and saves (half an hour); writes bench.json
	$(venv)/bin/python -W ignore -m benchmarks

bench-gpu: $(venv)/.done  ## the same on a CUDA device (three minutes); writes bench-gpu.json
	$(venv)/bin/python -W ignore -m benchmarks.gpu

test: $(venv)/.done  ## the fast tests
	$(call pytest,$(venv)) -m "not slow"

test-slow: $(venv)/.done  ## the slow tests
	$(call pytest,$(venv)) -m slow || [ $$? = 5 ]  # 5: there are none

test-gpu: $(venv)/.done  ## the tests that need a CUDA device
	$(call pytest,$(venv)) -m gpu

test-all: $(venv)/.done  ## every test
	$(call pytest,$(venv))

test-modern: .venv-modern$(of-host)/.done  ## the fast tests on Python 3.11 or 3.12, torch 2
	$(call pytest,$(<D)) -m "not slow"

test-classic: .venv-classic$(of-host)/.done  ## the fast tests on Python 3.8 - 3.10, torch 1.12
	$(call pytest,$(<D)) -m "not slow"

test-3.%: .venv-3.%$(of-host)/.done  ## the fast tests on one Python: test-3.12
	$(call pytest,$(<D)) -m "not slow"

lint: $(venv)/.done  ## style, types, the direction of imports, shell scripts
	$(venv)/bin/ruff check .
	$(venv)/bin/ruff format --check .
	$(venv)/bin/mypy
	$(venv)/bin/lint-imports
	$(venv)/bin/shellcheck $(SHELL_SCRIPTS)

# In an environment of its own, with the pinned build, setuptools and twine. The wheel is built from the
# source distribution, so that nothing of the tree gets in but what that has.
dist: .venv-dist/.done  ## build the source distribution and the wheel into dist/, and check them
	rm -rf dist
	.venv-dist/bin/python -m build --no-isolation --outdir dist
	.venv-dist/bin/python -m twine check --strict dist/*

.venv-dist/.done: constraints/modern.txt
	@test -n "$(python-modern)" || { echo "make: distributions are built by Python 3.11 or 3.12, and none was found" >&2; exit 1; }
	@rm -rf .venv-dist
	@"$(python-modern)" -m venv .venv-dist
	@.venv-dist/bin/python -m pip --disable-pip-version-check -qq install -c constraints/modern.txt build setuptools twine
	@touch $@

format: $(venv)/.done  ## let ruff fix and format what it can
	$(venv)/bin/ruff check --fix-only --quiet .
	$(venv)/bin/ruff format .

clean:  ## remove environments and caches, not runs/
	rm -rf .venv .venv-* build dist *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
	find fairseq_gist tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

which-modern:  ## the Python that would run the modern stack, if any
	@echo "$(python-modern)"

which-classic:  ## the Python that would run the classic stack, if any
	@echo "$(python-classic)"

# The stamp comes last: an interrupted build is started over from an empty directory. pip's second
# -q hides its warnings, not its errors.
#
# The host comes alone, by its hashes and without what it asks for: a requirement with hashes wants
# them of everything in the same call, and torchaudio, which hosts ask for, must not come. What it
# really needs is installed with the rest, by constraints, and pip isn't to warn that torchaudio
# lacks. fairseq-fixed is compiled with the torch that is there: alone it would download another.
pip = $*/bin/python -m pip --disable-pip-version-check -qq
constraints = -c constraints/$$(cat $*/stack).txt

# Otherwise make takes the stamps of test-3.N for intermediate files and deletes them.
.SECONDARY:

# An environment that is active is what the PATH finds: what it came from makes it anew.
%/.done: setup.py constraints/host.py $(wildcard constraints/*.txt constraints/hosts/*.txt)
	@test -n "$($*_PYTHON)" || { echo "make: found no Python for $*; name one: make PYTHON=..." >&2; exit 1; }
	@base="$$("$($*_PYTHON)" -c 'import sys; print(sys._base_executable)')" && rm -rf $* && "$$base" -m venv $*
	@$*/bin/python -c 'import sys; print("modern" if sys.version_info >= (3, 11) else "classic")' > $*/stack
	@$*/bin/python constraints/host.py choose $(HOST) > $*/host
	@echo "$*: the $$(cat $*/stack) stack on $$($*/bin/python --version), $$(cat $*/host)"
	@if grep -qx classic $*/stack; then $(pip) install "pip<24.1" "setuptools<60" wheel; fi
	@echo "$*: installing torch"
	@$(pip) install --progress-bar off $(constraints) torch numpy
	@echo "$*: installing $$(cat $*/host)"
	@if grep -qx fairseq-fixed $*/host; then $(pip) install $(constraints) setuptools Cython; fi
	@$(pip) install --progress-bar off --no-deps --require-hashes \
	    $$(grep -qx fairseq-fixed $*/host && echo --no-build-isolation) \
	    -r constraints/hosts/$$(cat $*/host).txt
	@echo "$*: installing fairseq-gist and what both need"
	@$*/bin/python constraints/host.py needs "$$(cat $*/host)" > $*/needs.txt
	@$(pip) install --progress-bar off --no-warn-conflicts $(constraints) \
	    -r $*/needs.txt -e ".[seamless,comet,corpora,report,language-id,lhotse,docs,dev]"
	@touch $@
	@echo "$*: ready; source $*/bin/activate"
