# Short names for what CI and people run alike; every target goes through ./orfeas, which sets up the environment.
PYTHON := $(or $(ORFEAS_VENV),.venv)/bin/python

.PHONY: demo up test lint types bench soak pins ready

demo:
	./orfeas demo

up:
	./orfeas up

test:
	./orfeas test

ready:
	@./orfeas test --version > /dev/null

lint: ready
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: ready
	$(PYTHON) -m mypy

# Each module in bench/ prints its own table: make bench, or make bench NAMES=repeats
NAMES ?= $(filter-out __init__,$(basename $(notdir $(wildcard bench/*.py))))
bench: ready
	for name in $(NAMES); do $(PYTHON) -m bench.$$name || exit; done

soak: ready
	$(PYTHON) -m tests.security.fuzz_pictures 10000 2> /dev/null
	$(PYTHON) -m tests.security.fuzz_contract 150 5000
	ORFEAS_CHAOS_S=600 $(PYTHON) -m pytest -s --timeout 1200 tests/faults/test_chaos.py

# Writes constraints.txt from what is installed, so that everybody gets the versions that were tested here.
pins: ready
	$(PYTHON) -m deploy.pins > constraints.txt.new
	mv constraints.txt.new constraints.txt
