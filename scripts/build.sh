#!/usr/bin/env bash
# Builds the plugin into bin/ and prints its path; its SHA-256, which a plugin catalog wants, goes
# to stderr. The same commit, Go version and platform give the same bytes wherever it is built.
#
#   scripts/build.sh [hsm] [testclock]
#
# hsm builds bin/vault-plugin-keylife-hsm, which speaks PKCS#11 with libraries in C: it needs a C compiler, and runs where the C
# library is no older than the one it was built with. Without it, the plugin is free of C. Its bytes depend on the compiler too.
#
# testclock builds bin/vault-plugin-keylife-testclock (or ...-hsm-testclock), whose time a file can move: for tests, and
# never for keys that anybody needs.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

plugin=$root/bin/vault-plugin-keylife
tags=
cgo=0
for kind; do
  case $kind in
    hsm) cgo=1 plugin+=-hsm ;;
    testclock) tags=testclock plugin+=-testclock ;;
    *) die "usage: scripts/build.sh [hsm] [testclock]" ;;
  esac
done

# A source archive has no git history; it still builds.
version() { git -C "$root" describe --tags --always --dirty 2>/dev/null || printf 'v0.0.0-dev'; }

require_go
cc=$(go env CC)
if ((cgo)) && ! command -v "${cc%% *}" >/dev/null; then
  die "a C compiler is needed for ${plugin##*/}: apt-get install gcc libc6-dev, or set CC"
fi
mkdir -p "$root/bin"
CGO_ENABLED=$cgo watched "${plugin##*/}" go -C "$root" build -v -trimpath -tags "$tags" \
  -ldflags "-X main.version=${VERSION:-$(version)}" -o "$plugin" ./cmd/vault-plugin-keylife
say "sha256 $(sha256sum "$plugin" | cut -d ' ' -f 1)"
printf '%s\n' "$plugin"
