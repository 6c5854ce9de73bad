#!/usr/bin/env bash
# Measures what the clients cost beside a Vault that encrypts each value, and writes the figures into docs/performance.md.
#
#   PORT       the port to listen on (default: the first free one from 8200)
#   VAULT_BIN  the Vault to use (default: see scripts/vault.sh)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/devserver.sh
source "$root/scripts/devserver.sh"

# What serves is a Transit that comes with Vault: the clients ask it for the same as keylife, and it is what they are compared with.
trap stop_server EXIT
trap 'exit 130' INT TERM HUP PIPE
# shellcheck disable=SC2119 # the plugin without PKCS#11
start_server
vault secrets enable transit >&2
vault write -f transit/keys/bench >&2

# shellcheck disable=SC2154 # server and scratch are devserver.sh's
go -C "$root/client" build -o "$scratch/bench" ./internal/bench
say "==> measuring Go"
"$scratch/bench" -server "$server" >"$scratch/go.json"
say "==> measuring Python"
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$root/python /usr/bin/python3 "$root/python/bench.py" --server "$server" >"$scratch/python.json"
vault version >"$scratch/vault"
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$root/scripts/bench_page.py" "$scratch" "$root/docs/performance.md"
