#!/usr/bin/env bash
# Builds the plugin into bin/ and prints its path; its SHA-256, which a plugin catalog wants, goes
# to stderr. The same commit, Go version and platform give the same bytes wherever it is built.
#
#   scripts/build.sh [testclock]
#
# testclock builds bin/vault-plugin-keylife-testclock, whose time a file can move: for tests, and
# never for keys that anybody needs.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

plugin=$root/bin/vault-plugin-keylife
tags=
case ${1:-} in
  '') ;;
  testclock) tags=testclock plugin+=-testclock ;;
  *) die "usage: scripts/build.sh [testclock]" ;;
esac

# A source archive has no git history; it still builds.
version() { git -C "$root" describe --tags --always --dirty 2>/dev/null || printf 'v0.0.0-dev'; }

require_go
mkdir -p "$root/bin"
watched plugin go -C "$root" build -v -trimpath -tags "$tags" \
  -ldflags "-X main.version=${VERSION:-$(version)}" -o "$plugin" ./cmd/vault-plugin-keylife
say "sha256 $(sha256sum "$plugin" | cut -d ' ' -f 1)"
printf '%s\n' "$plugin"
