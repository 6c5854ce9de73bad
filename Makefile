# Verbs only; what they do is in scripts/.
.DEFAULT_GOAL := help
.PHONY: help dev test lint unit clients acceptance drills soak chaos fuzz bench bench-engine bench-tokens bench-clients build fmt clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

dev: ## start a Vault with the plugin and watch a key rotate (ONCE=1: stop after that; HSM=1: on a token of SoftHSM)
	@scripts/deps.sh dev $(if $(HSM),hsm)
	@scripts/dev.sh

test: ## everything: dependencies, build, lint, unit and (beside these) acceptance tests
	@scripts/deps.sh
	@scripts/check.sh all

lint: ## formatting, linters, vulnerabilities, module files
	@scripts/check.sh lint

unit: ## unit tests, with the race detector and, where that needs less, without
	@scripts/check.sh unit

clients: ## tests of client/ and python/, and that both come to the same verdicts
	@scripts/check.sh clients

acceptance: ## tests against a real Vault
	@scripts/check.sh acceptance

drills: ## outages, revocations and rotations under load with applications, on a real Vault; on a machine that does nothing else
	@scripts/check.sh drills

soak: ## an hour (or SOAK=20m) of mixed load on a real Vault: memory, goroutines and file descriptors stay as they are
	@scripts/soak.sh
chaos: ## a cluster of three nodes under load and faults (SEEDS=1-200; CLUSTERS=2: two at a time); see docs/chaos.md
	@scripts/deps.sh
	@scripts/chaos.sh

fuzz: ## every fuzz target for FUZZTIME (default 30s)
	@scripts/check.sh fuzz

bench: ## measure beside Transit in one Vault, and Go benchmarks, and write docs/performance.md: half an hour, on a machine that does nothing else (BENCH=short: a smoke run)
	@scripts/deps.sh dev
	@scripts/bench.sh

bench-engine: ## Go benchmarks of the engine and of the client library alone, with allocations
	@scripts/bench.sh engine

bench-tokens: ## Go benchmarks of tokens; minutes
	@scripts/bench.sh tokens

bench-clients: ## measure the clients beside a Vault that encrypts each value, and write docs/performance.md
	@scripts/bench_clients.sh

build: ## bin/vault-plugin-keylife, the same with PKCS#11 (-hsm), and the SHA-256 of both
	@scripts/build.sh
	@scripts/build.sh hsm

fmt: ## format the Go code
	@scripts/tools.sh
	@bin/tools/gofumpt -w .

clean: ## remove the plugin and logs (Vault and the tools, slow to build, stay: rm -r bin)
	@rm -f bin/vault-plugin-keylife bin/vault-plugin-keylife-hsm bin/vault-plugin-keylife*-testclock bin/*.log
