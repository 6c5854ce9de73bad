#!/usr/bin/env bash
# Plays seeds of faults on a cluster of three real nodes, and holds what was acknowledged against what is there: see docs/chaos.md.
# A line a seed on stdout; fails where a seed is not clean.
#
#   SEEDS      which, such as 1-200 or 3,7 (default 1-20)
#   CLUSTERS   how many clusters at a time (default 1)
#   OUT        where what became of the seeds is kept (default bin/chaos)
#   VAULT_BIN  the Vault to test against (default: see scripts/vault.sh)
#
#   scripts/chaos.sh page   writes what is kept of the last build into docs/chaos.md
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

out=$(realpath -m "${OUT:-bin/chaos}")
if [[ ${1:-} == page ]]; then
  exec env PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 scripts/chaos_page.py "$out/rounds.jsonl" docs/chaos.md
fi

require_go
vault=$(scripts/vault.sh) && command=$(scripts/build.sh) && plugin=$(scripts/build.sh testclock) && hsm=$(scripts/build.sh hsm testclock)
export VAULT_BIN=$vault KEYLIFE_PLUGIN=$command KEYLIFE_PLUGIN_TESTCLOCK=$plugin KEYLIFE_PLUGIN_HSM_TESTCLOCK=$hsm
CHAOS_BUILD=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)
export CHAOS_SEEDS=${SEEDS:-1-20} CHAOS_CLUSTERS=${CLUSTERS:-1} CHAOS_OUT=$out CHAOS_BUILD
go test -tags acceptance -count=1 -v -timeout 48h -run '^TestNothingIsLostUnderFire$' ./test/chaos | grep --line-buffered -v '^ *\(===\|---\)'
