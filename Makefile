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

bench: ready
	$(PYTHON) -m bench

soak: ready
	$(PYTHON) -m bench.soak

# Writes constraints.txt from what is installed, so that everybody gets the versions that were tested here.
pins: ready
	$(PYTHON) -m deploy.pins > constraints.txt.new
	mv constraints.txt.new constraints.txt
