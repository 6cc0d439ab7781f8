# Each target does its own set-up; a fresh clone needs nothing but Python 3.11 and, for the tests, Debian's apt.
# Debian's Python is built with profile-guided optimization, others need not be: it takes 5 % less of a request's time, and
# 7 % less where nothing is compiled. So it is the one, if it is new enough and whole.
PYTHON ?= $(shell /usr/bin/python3 -c 'import ensurepip, sys, sysconfig; open(sysconfig.get_path("include") + "/Python.h"); \
	sys.exit(sys.version_info < (3, 11))' 2> /dev/null && echo /usr/bin/python3 || echo python3)
BIN := .venv/bin
export PYTHONUNBUFFERED = 1
unexport PYTHONDONTWRITEBYTECODE # the tests start a thousand processes; each would translate all sources anew

.PHONY: run test compiled speed kube-apiserver soak lint format fuzz bench bench-quick bench-micro bench-control clean

run: .venv/installed
	@$(BIN)/pointsman demo

# All tests as Python runs the sources; then those of the data path as the compiled modules, where there is a compiler.
test: .venv/installed
	POINTSMAN_COMPILED=0 $(BIN)/pytest
	@if $(BIN)/python -m compiled --if-needed; then \
		POINTSMAN_COMPILED=1 $(BIN)/pytest -n 3 $(DATA_PATH); \
	else \
		test $$? -eq 3 && echo "the tests of the compiled data path are skipped"; \
	fi

DATA_PATH := tests/compiled/test_loading.py tests/balancers tests/fuzz/test_framing.py tests/proxy/access_log tests/proxy/edge tests/proxy/http \
	tests/proxy/tls/test_data_path.py tests/proxy/test_routes.py tests/proxy/test_route_index.py tests/proxy/test_routing.py tests/proxy/test_balancing.py \
	tests/end_to_end/test_workers.py

# The data path as machine code, from the same sources: docs/compiled.md. Half a minute on two cores.
compiled: .venv/installed
	@test -f "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" && command -v $${CC:-cc} > /dev/null \
		|| { echo "a C compiler or Python's headers are missing; trying to install Debian's gcc and python3-dev"; apt-get update -q && apt-get install -y -q gcc libc6-dev python3-dev; } || true
	@$(BIN)/python -m compiled

# How soon a change at each registry is published: the table of docs/registries/README.md.
speed: .venv/installed
	$(BIN)/pytest -q -s -p no:logging tests/discovery/speed.py

# The API server that the tests of Kubernetes run against, from Go modules into the cache folder: three minutes on two
# cores and 3 GB of disk meanwhile, once. Without it those tests are skipped.
kube-apiserver: .venv/installed
	@$(BIN)/python -m tests.servers.kubernetes

# SOAK_UPDATES (100000) of services in a registry; then all faults under load, one after the other, for SOAK_SECONDS (600).
soak: .venv/installed
	$(BIN)/python -m tests.end_to_end.soak_updates
	$(BIN)/python -m tests.end_to_end.soak
	$(BIN)/python -m tests.end_to_end.test_reload_under_load
	$(BIN)/python -m tests.end_to_end.test_takeover_under_load

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# For FUZZ_SECONDS, by grammar and, where atheris can be had, by coverage.
FUZZ_SECONDS ?= 300

fuzz: .venv/installed
	$(BIN)/python -m tests.fuzz $(FUZZ_SECONDS)

bench: .venv/installed
	-@$(BIN)/python -m compiled --if-needed
	$(BIN)/python -m bench

bench-quick: .venv/installed
	-@$(BIN)/python -m compiled --if-needed
	$(BIN)/python -m bench --quick

# The parts of the data path one by one, to compare before and after a change: python -m bench.compare OLD.json NEW.json.
bench-micro: .venv/installed
	-@$(BIN)/python -m compiled --if-needed
	$(BIN)/python -m bench.micro

# How soon a change in Consul moves traffic, beside Traefik and HAProxy, and what following Consul costs: 11 minutes.
bench-control: .venv/installed
	$(BIN)/python -m bench.control

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "pointsman needs Python 3.11 or later; set PYTHON to one, as in: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is missing; trying to install Debian's python3-venv"; apt-get update -q && apt-get install -y -q python3-venv && $(PYTHON) -m venv .venv; }
	@echo "installing pointsman and what it needs into .venv"
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[fuzz]' 2>/dev/null || echo "atheris cannot be had here: there will be no fuzzing by coverage"
	@touch $@
