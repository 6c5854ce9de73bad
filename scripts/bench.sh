#!/usr/bin/env bash
# Measures, and makes docs/performance.md of it.
#
#   scripts/bench.sh                 all of it, in this order
#   scripts/bench.sh server [FLAGS]  engines in one Vault, as tables; the flags are at the top of test/bench/main.go
#   scripts/bench.sh engine          Go benchmarks, of the engine and of the client library
#   scripts/bench.sh tokens          Go benchmarks of tokens, which take minutes and are no part of the page
#   scripts/bench.sh page            the page anew, of what was measured last
#
#   BENCH=short  a smoke run: nothing is written below docs, and its figures say nothing
#   VAULT_BIN    the Vault to measure in (default: see scripts/vault.sh)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

page=docs/performance.md
results=docs/performance # the sections of the page, and its figures
scratch=
short() { [[ ${BENCH:-} == short ]]; }

clean_up() { [[ -z $scratch ]] || rm -rf "$scratch"; }
trap clean_up EXIT

# compared builds what is measured, once.
compared() {
  VAULT_BIN=$(scripts/vault.sh)
  KEYLIFE_PLUGIN=$(scripts/build.sh)
  BENCH_NOOP=$(scripts/bench_peer.sh noop)
  BENCH_TRANSIT=$(scripts/bench_peer.sh transit)
  export VAULT_BIN KEYLIFE_PLUGIN BENCH_NOOP BENCH_TRANSIT
}

server() {
  say "==> engines in one Vault"
  compared
  go run ./test/bench "$@"
}

whole_server() {
  local flags=(-latency "encrypt,decrypt,batch-encrypt" -out "$results")
  if short; then flags+=(-rounds 1 -slice 50ms -warmup 10ms); fi
  server "${flags[@]}"
}

# benchmarks FOLDER [BUT] lists the packages that have some, in the module of a folder, but for files that match.
benchmarks() {
  (cd "$1" && git ls-files '*_test.go' | grep -vE "${2:-^$}" | xargs grep -l '^func Benchmark' | xargs -n 1 dirname | sort -u | sed 's|^|./|')
}

engine() {
  local flags=(-run '^$' -bench . -benchmem -count 3 -benchtime 300ms) own clients
  if short; then flags=(-run '^$' -bench . -benchmem -benchtime 1x); fi
  say "==> Go benchmarks"
  mapfile -t own < <(benchmarks . '^(client|test/(apps|clients|ui|vault))/|hsm/')
  mapfile -t clients < <(benchmarks client)
  { go test "${flags[@]}" "${own[@]}" && go -C client test "${flags[@]}" "${clients[@]}"; } | go run ./test/bench/inprocess "$results/inprocess.json"
}

tokens() { go test -run '^$' -bench . -benchmem ./hsm/... ./test/behaviour/hsm; }

# in_order lists the sections as the page has them.
in_order() {
  local name first=(throughput latency cpu) last=(inprocess)
  for name in "${first[@]}"; do printf '%s\n' "$results/$name.json"; done
  find "$results" -name '*.json' | sort | grep -vE "/($(IFS='|' && echo "${first[*]}|${last[*]}"))\.json$" || true
  for name in "${last[@]}"; do printf '%s\n' "$results/$name.json"; done
}

make_page() {
  local sections
  mapfile -t sections < <(in_order)
  go run ./test/bench/page "$page" "${sections[@]}"
  say "==> $page"
}

require_go
if short; then
  scratch=$(mktemp -d)
  cp "$page" "$scratch/performance.md"
  page=$scratch/performance.md results=$scratch/performance
fi
mkdir -p "$results"
case ${1:-all} in
  all)
    whole_server
    engine
    make_page
    ;;
  server | engine | tokens) "$@" ;;
  page) make_page ;;
  *) die "usage: scripts/bench.sh [server [FLAGS]|engine|tokens|page]" ;;
esac
