# Two commands from a fresh clone: `make quickstart` and `make test`. Each makes its own virtual
# environment in .venv, from the versions pinned in constraints.txt.

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: quickstart test slow benchmark docs lint clean

quickstart: $(VENV)/installed
	MPLBACKEND=Agg $(VENV)/bin/python examples/quickstart.py

# one thread for each of the two processes of the tests, or the libraries' threads get in the way
test slow: export OMP_NUM_THREADS = 1

test: $(VENV)/installed
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal -q

slow: $(VENV)/installed
	$(VENV)/bin/python -m pytest -n 2 -q -m slow

benchmark: $(VENV)/installed
	$(VENV)/bin/python tests/benchmarks/bench_training.py
	$(VENV)/bin/python tests/benchmarks/bench_gaussians.py

docs: $(VENV)/installed
	$(PIP) -e ".[docs]"
	$(VENV)/bin/python -m sphinx -b html docs docs/_build/html

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

clean:
	rm -rf $(VENV) docs/_build docs/auto_examples docs/api/generated

# torch first and alone, so that no other requirement can pull another build of it
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) -e ".[tests]"
	touch $@
