#!/usr/bin/env bash
# Prints the path of a usable Vault binary, and only that, on stdout.
#
# In this order: $VAULT_BIN, a vault on PATH, bin/vault built from the module in test/vault. The
# build takes about ten minutes on a machine that has never done it and is then reused until
# test/vault changes. Vault is BUSL-1.1: it is built to test against and never distributed.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

built=$root/bin/vault

fresh() {
  local source
  [[ -x $built ]] || return 1
  for source in go.mod go.sum main.go; do
    [[ $built -nt $root/test/vault/$source ]] || return 1
  done
}

build() {
  local partial
  require_go
  mkdir -p "$root/bin"
  # A sibling renamed when complete: an interrupted build never leaves a broken bin/vault, and
  # two builds at once do not write to the same file.
  partial=$(mktemp "$root/bin/.vault.XXXXXX")
  # shellcheck disable=SC2064 # the name is wanted as it is now
  trap "rm -f '$partial'" EXIT
  say "==> building Vault from test/vault (about 10 minutes the first time, then cached)"
  # -mod=readonly: the committed go.mod and go.sum are complete and must not change under a build.
  watched vault go -C "$root/test/vault" build -v -mod=readonly -tags minimal -o "$partial" . ||
    die "Vault did not build; set VAULT_BIN to a vault binary to go on without it"
  chmod 755 "$partial"
  mv "$partial" "$built"
}

if [[ -n ${VAULT_BIN:-} ]]; then
  [[ -x $VAULT_BIN && ! -d $VAULT_BIN ]] || die "VAULT_BIN=$VAULT_BIN is not an executable file"
  realpath -- "$VAULT_BIN"
elif on_path=$(command -v vault); then
  realpath -- "$on_path"
else
  fresh || build
  printf '%s\n' "$built"
fi
