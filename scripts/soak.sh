#!/usr/bin/env bash
# A mount under mixed load on a Vault of its own, and whether the plugin's process stays as it was: see docs/testing.md.
#
#   SOAK       how long (default 1h; below 20m it tells of goroutines and file descriptors only)
#   OUT        the folder of soak.json, soak.svg and soak-report.json (default bin/soak)
#   VAULT_BIN  the Vault to use (default: see scripts/vault.sh)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

require_go
VAULT_BIN=$("$root/scripts/vault.sh")
KEYLIFE_PLUGIN=$("$root/scripts/build.sh")
export VAULT_BIN KEYLIFE_PLUGIN
out=${OUT:-$root/bin/soak}
say "==> a soak of ${SOAK:-1h}; $out/samples.jsonl grows meanwhile"
exec go -C "$root" run ./test/soak/cmd -length "${SOAK:-1h}" -out "$(realpath -m "$out")"
