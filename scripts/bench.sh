#!/usr/bin/env bash
# Builds all engines that are compared and runs go run ./test/bench on them; its flags are at the top of test/bench/main.go.
#
#   scripts/bench.sh server [FLAGS]
#
#   VAULT_BIN  the Vault to measure in (default: see scripts/vault.sh)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

server() {
  VAULT_BIN=$(scripts/vault.sh)
  KEYLIFE_PLUGIN=$(scripts/build.sh)
  BENCH_NOOP=$(scripts/bench_peer.sh noop)
  BENCH_TRANSIT=$(scripts/bench_peer.sh transit)
  export VAULT_BIN KEYLIFE_PLUGIN BENCH_NOOP BENCH_TRANSIT
  go run ./test/bench "$@"
}

case ${1:-} in
  server) "$@" ;;
  *) die "usage: scripts/bench.sh server [FLAGS]" ;;
esac
