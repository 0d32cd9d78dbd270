# mpa-hil: `make demo` shows a measured handover, `make test` runs everything that tests it.
# Both set up what is missing first, and need nothing but make, a shell and Python 3.11 or newer.
.POSIX:
.SUFFIXES:
.PHONY: help setup setup-test demo test check test-pure test-fuzz test-wired test-lab test-radio \
	fuzz campaign bench-aa bench-tunnel bench-policy clean

PYTHON = python3
TIERS = .venv/bin/python -m tests.tiers

help:
	@echo 'make demo        a handover between two domains, measured'
	@echo 'make test        all checks and tests (docs/tests.md says which tiers there are)'
	@echo 'make setup       only what make demo needs: host packages and .venv/'
	@echo 'make check       formatting, lint, types'
	@echo 'make test-pure   make test-fuzz   make test-wired   make test-lab   one tier'
	@echo 'make fuzz        a million inputs for every decoder, instead of 20,000'
	@echo 'make campaign    attacks and faults in full, instead of a tenth'
	@echo 'make test-radio  on real radios: MPA_HIL_RADIOS="wlan1 wlan2" make test-radio'
	@echo 'make bench-aa    the authentication agent beside FreeRADIUS: rate, latency, memory'
	@echo 'make bench-tunnel  handover tunnels, plain, ESP, WireGuard: throughput, latency, a thousand'
	@echo 'make bench-policy  what a decision costs, beside a thousand candidates too'
	@echo 'make clean       remove .venv/ and caches in this folder; runs/ stays'

setup:
	@PYTHON='$(PYTHON)' rigs/setup/setup.sh demo

setup-test:
	@PYTHON='$(PYTHON)' rigs/setup/setup.sh test

demo: setup
	.venv/bin/mpa-hil run lab_configs/two_domains.toml

test: setup-test
	@$(TIERS)

check: setup-test
	@$(TIERS) check

test-pure: setup-test
	@$(TIERS) pure

test-fuzz: setup-test
	@$(TIERS) fuzz

fuzz: setup-test
	@MPA_HIL_FUZZ_INPUTS=1000000 .venv/bin/python -m pytest -q tests/fuzz

campaign: setup-test
	@MPA_HIL_CAMPAIGN=whole $(TIERS) fuzz wired lab

bench-aa: setup-test
	@mkdir -p runs && .venv/bin/python -m tests.bench.aa --output runs/bench-aa.json

bench-tunnel: setup-test
	@mkdir -p runs && .venv/bin/python -m tests.bench.tunnel --output runs/bench-tunnel.json

bench-policy: setup-test
	@mkdir -p runs && .venv/bin/python -m tests.bench.policy --output runs/bench-policy.json

test-wired: setup-test
	@$(TIERS) wired

test-lab: setup-test
	@$(TIERS) lab

test-radio: setup-test
	@$(TIERS) radio

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
