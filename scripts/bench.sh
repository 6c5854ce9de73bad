#!/usr/bin/env bash
# Measures, and makes docs/performance.md of it.
#
#   scripts/bench.sh [PART...]       the parts, or all of them, in this order:
#     server        engines in one Vault: throughput, CPU, latency; about eight minutes
#     scale         what grows with versions and keys; about five
#     massrotation  encryptions while ten thousand keys rotate; about ten
#     engine        Go benchmarks, of the engine and of the client library; about two
#     page          the page anew, of what was measured last
#   scripts/bench.sh compare [FLAGS] engines in one Vault, as tables on stdout; the flags are at the top of test/bench/main.go
#   scripts/bench.sh tokens          Go benchmarks of tokens, which are no part of the page; about four minutes
#
#   BENCH=short  a smoke run of server, engine and page: nothing is written below docs, and its figures say nothing
#   VAULT_BIN    the Vault to measure in (default: see scripts/vault.sh)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

text=$root/docs/performance.md
results=$root/docs/performance # the sections of the page, and its figures
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

compare() {
  compared
  go run ./test/bench "$@"
}

server() {
  local flags=(-latency "encrypt,decrypt,batch-encrypt" -out "$results")
  if short; then flags+=(-rounds 1 -slice 50ms -warmup 10ms); fi
  compare "${flags[@]}"
}

scale() {
  compared
  go test -tags acceptance -count=1 -timeout 60m ./test/bench/scale -args -out "$results"
}

massrotation() {
  compared
  go run ./test/bench/massrotation -out "$results/massrotation.json"
}

# benchmarks FOLDER [BUT] lists the packages that have some, in the module of a folder, but for files that match.
benchmarks() {
  (cd "$1" && grep -rl --include='*_test.go' '^func Benchmark' . | grep -vE "${2:-^$}" | xargs -n 1 dirname | sort -u)
}

engine() {
  local flags=(-run '^$' -bench . -benchmem -count 3 -benchtime 300ms) own clients
  if short; then flags=(-run '^$' -bench . -benchmem -benchtime 1x); fi
  mapfile -t own < <(benchmarks . '^./(client|test/(apps|clients|ui|vault))/|hsm/')
  mapfile -t clients < <(benchmarks client)
  { go test "${flags[@]}" "${own[@]}" && go -C client test "${flags[@]}" "${clients[@]}"; } | go run ./test/bench/inprocess "$results/inprocess.json"
}

tokens() { go test -run '^$' -bench . -benchmem ./hsm/... ./test/behaviour/hsm; }

# in_order lists the sections that are there, as the page has them.
in_order() {
  local name first=(throughput latency cpu) last=(inprocess)
  for name in "${first[@]}"; do measured "$name"; done
  find "$results" -name '*.json' | sort | grep -vE "/($(IFS='|' && echo "${first[*]}|${last[*]}"))\.json$" || true
  for name in "${last[@]}"; do measured "$name"; done
}

measured() { [[ ! -e $results/$1.json ]] || printf '%s\n' "$results/$1.json"; }

page() {
  local sections
  mapfile -t sections < <(in_order)
  go run ./test/bench/page "$text" "${sections[@]}"
  say "==> $text"
}

require_go
case ${1:-} in
  compare | tokens)
    "$@"
    exit
    ;;
esac
if short; then
  scratch=$(mktemp -d)
  cp "$text" "$scratch/performance.md"
  text=$scratch/performance.md results=$scratch/performance
fi
mkdir -p "$results"
parts=("$@")
if ((${#parts[@]} == 0)); then parts=(server scale massrotation engine page); fi
if short; then parts=(server engine page); fi
for part in "${parts[@]}"; do
  case $part in
    server | scale | massrotation | engine | page) say "==> $part" ;;
    *) die "usage: scripts/bench.sh [server] [scale] [massrotation] [engine] [page], or compare [FLAGS], or tokens" ;;
  esac
  "$part"
done
