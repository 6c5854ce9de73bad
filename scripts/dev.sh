#!/usr/bin/env bash
# Starts a Vault dev server with the plugin mounted at keylife/ and shows, with real commands, a
# key that rotates by itself. Everything shown is checked as well.
#
#   HSM=1      show that on a token of SoftHSM, which is taken away and given back
#   ONCE=1     end after the demonstration instead of keeping the server
#   PORT       the port to listen on (default: the first free one from 8200)
#   VAULT_BIN  the Vault to use (default: see scripts/vault.sh)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/devserver.sh
source "$root/scripts/devserver.sh"
# shellcheck source=scripts/devhsm.sh
source "$root/scripts/devhsm.sh"

rotation_limit=180 # seconds: the period is a minute, and Vault lets plugins look at the clock once a minute

# show COMMAND... prints the command on stderr, so that its output can still be captured.
show() {
  printf '\n$ %s\n' "$*" >&2
  "$@"
}

# expect CLAIM TEST... stops when a test(1) expression does not hold.
expect() {
  local claim=$1
  shift
  test "$@" || die "not so: $claim ($*)"
}

encrypt() { show vault write -field=ciphertext keylife/encrypt/orders plaintext="$1"; }

decrypt() { show vault write -field=plaintext keylife/decrypt/orders ciphertext="$1"; }

version_of() { sed -n 's/^vault:v\([0-9][0-9]*\):.*/\1/p' <<<"$1"; }

# progress SECONDS KEY: on a terminal one line that changes, in a log a line every ten seconds.
progress() {
  local line
  line=$(jq -r '.data | "latest_version \(.latest_version)  next_rotation_time \(.next_rotation_time // "-")"' <<<"$2")
  if [[ -t 2 ]]; then
    printf '\r    %3ds  %s  ' "$1" "$line" >&2
  elif (($1 >= next_line)); then
    printf '    %3ds  %s\n' "$1" "$line" >&2
    next_line=$(($1 + 10))
  fi
}

# wait_for_rotation returns once the key has a second version, which nothing here asked for.
wait_for_rotation() {
  local begin=$SECONDS next_line=0 key
  say ""
  say "Waiting for the key to rotate by itself: it is due after a minute, and Vault looks once a minute."
  while :; do
    key=$(vault read -format=json keylife/keys/orders) || die "cannot read the key"
    progress $((SECONDS - begin)) "$key"
    (($(jq -r .data.latest_version <<<"$key") < 2)) || break
    ((SECONDS - begin < rotation_limit)) || die "no rotation within ${rotation_limit}s"
    sleep 1
  done
  say ""
  say "Rotated after $((SECONDS - begin))s."
}

# demonstrate [RULE...] shows a key that rotates by itself, under a policy that may have more rules.
demonstrate() {
  local plaintext opened_before opened_after
  plaintext=$(printf hello | base64)
  show vault write keylife/policies/demo owner=you@example.com rotation_period=1m rotation_jitter=0s "$@"
  show vault write keylife/keys/orders policy=demo
  before=$(encrypt "$plaintext")
  printf '%s\n' "$before"
  wait_for_rotation
  after=$(encrypt "$plaintext")
  printf '%s\n' "$after"
  opened_before=$(decrypt "$before")
  printf '%s\n' "$opened_before"
  opened_after=$(decrypt "$after")
  printf '%s\n' "$opened_after"
  show vault read keylife/keys/orders/rotation

  expect "the first ciphertext is of version 1" "$(version_of "$before")" = 1
  expect "the second ciphertext is of a later version" "$(version_of "$after")" -ge 2
  expect "the old ciphertext still opens" "$opened_before" = "$plaintext"
  expect "the new ciphertext opens" "$opened_after" = "$plaintext"
}

conclude() {
  cat <<TEXT

What you saw
  The policy "demo" asks for a rotation every minute; the key "orders" is bound to it.
  before  $before
  after   $after
  Version $(version_of "$before") became version $(version_of "$after") and nobody called rotate. Both ciphertexts open to "hello".
TEXT
}

invite() {
  cat <<TEXT

The server runs until Ctrl-C. In another terminal:
  export VAULT_ADDR=$VAULT_ADDR VAULT_TOKEN=$VAULT_TOKEN
  alias vault=$(printf %q "$vault_binary")

  vault read keylife/keys/orders
  vault write keylife/rewrap/orders ciphertext=$before
  vault write keylife/keys/orders/rotate reason="trying it out"
  vault list keylife/keys/orders/versions
  vault read -format=json keylife/keys/orders/history
  vault read -format=json keylife/keys/orders/plan
  vault write -format=json keylife/policies/demo/plan rotation_period=1h
  vault read keylife/rotation/status
  vault path-help keylife
TEXT
}

before='' after=''
trap stop_server EXIT
# HUP: the terminal went away. PIPE: so did whoever read the output.
trap 'exit 130' INT TERM HUP PIPE
if [[ -n ${HSM:-} ]]; then
  start_server hsm
  set_up_token
  demonstrate hsm=required
  conclude
  look_at_token
  take_token_away
  give_token_back
  rotate_keks
else
  start_server
  show vault secrets enable -path=keylife keylife
  demonstrate
  conclude
fi
[[ -z ${ONCE:-} ]] || exit 0
invite
[[ -z ${HSM:-} ]] || invite_hsm
trap 'exit 0' INT TERM HUP PIPE
wait "$server" || die "Vault ended"
