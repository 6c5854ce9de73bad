#!/usr/bin/env bash
# Writes what a mount has stored by the build of a commit as a fixture, for every later build to open.
#
#   scripts/fixture.sh COMMIT [NAME]
#
# The commit is built as its own scripts do, with the tag testclock, and does on a real Vault what test/upgrade has it do; what it has no
# answer to is left out. NAME is the next number and the commit.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ $# -ge 1 ]] || die "usage: scripts/fixture.sh COMMIT [NAME]"
commit=$(git -C "$root" rev-parse --short=7 "$1^{commit}") || die "there is no commit $1"
folder=$root/test/upgrade/fixture/testdata
name=${2:-$(printf '%02d-%s' $(($(find "$folder" -name '*.json.gz' | wc -l) + 1)) "$commit")}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

require_go
git -C "$root" archive "$commit" | tar -x -C "$scratch"
CGO_ENABLED=0 go -C "$scratch" build -trimpath -tags testclock -o "$scratch/plugin" ./cmd/vault-plugin-keylife
VAULT_BIN=$("$root/scripts/vault.sh") KEYLIFE_PLUGIN_TESTCLOCK=$scratch/plugin \
  go -C "$root" test -tags acceptance -count=1 -v -run TestAMountHasEntriesOfAllKinds ./test/upgrade -args -fixture "$name" -commit "$commit"
say "$folder/$name.json.gz"
