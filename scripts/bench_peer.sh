#!/usr/bin/env bash
# Builds a plugin that keylife is compared with into bin/ and prints its path.
#
#   scripts/bench_peer.sh noop|transit
#
# noop computes nothing. transit is Vault's Transit as a plugin: it is BUSL-1.1, built to measure and never distributed.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

require_go
mkdir -p "$root/bin"
case ${1:-} in
  noop) build=(env CGO_ENABLED=0 go -C "$root" build -v -trimpath -o "$root/bin/bench-noop" ./test/bench/noop) ;;
  # Built as scripts/vault.sh builds, which has left most of it compiled.
  transit) build=(go -C "$root/test/vault" build -v -mod=readonly -tags minimal -o "$root/bin/bench-transit" ./transitplugin) ;;
  *) die "usage: scripts/bench_peer.sh noop|transit" ;;
esac
watched "bench-$1" "${build[@]}"
printf '%s\n' "$root/bin/bench-$1"
