# The part of the demonstration that is about a token of SoftHSM; sourced by dev.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # plugins and scratch are devserver.sh's, before and after are dev.sh's

recovery_limit=120 # seconds: the plugin tries a token that is away again after some

tokens='' # the folder that SoftHSM keeps the token in

softhsm_library() {
  local path
  for path in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so /usr/lib*/pkcs11/libsofthsm2.so; do
    [[ ! -e $path ]] || { printf '%s\n' "$path" && return; }
  done
  die "SoftHSM is missing: apt-get install softhsm2"
}

# set_up_token is docs/hsm.md's set-up, in a folder that goes with the server.
set_up_token() {
  local library sum
  library=$(softhsm_library)
  sum=$(sha256sum "$plugins/keylife" | cut -d ' ' -f 1)
  tokens=$scratch/tokens
  mkdir "$tokens"
  export SOFTHSM2_CONF=$scratch/softhsm2.conf
  printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$tokens" >"$SOFTHSM2_CONF"
  show softhsm2-util --init-token --free --label keylife --so-pin 0000 --pin 1234
  show vault plugin register -sha256="$sum" -command=keylife -env=SOFTHSM2_CONF="$SOFTHSM2_CONF" \
    -env=KEYLIFE_PKCS11_LIBS=softhsm="$library" secret keylife
  show vault secrets enable -path=keylife keylife
  show vault write keylife/config/hsm/test library=softhsm token_label=keylife pin=1234
  show vault write keylife/config/hsm library=softhsm token_label=keylife pin=1234 reason=demonstration
  show vault list -detailed keylife/hsm/keks
}

look_at_token() {
  show vault read keylife/hsm/status
  expect "the token works" "$(state_of_token)" = healthy
}

state_of_token() { vault read -field=state keylife/hsm/status; }

# refused COMMAND... shows a command that has to be answered 503.
refused() {
  local answer status=0
  printf '\n$ %s\n' "$*" >&2
  answer=$("$@" 2>&1) || status=$?
  printf '%s\n' "$answer" >&2
  expect "the command fails" "$status" != 0
  [[ $answer == *"Code: 503"* ]] || die "another answer than 503"
}

# opens CIPHERTEXT shows that it does.
opens() {
  local opened
  opened=$(decrypt "$1")
  printf '%s\n' "$opened"
  expect "the ciphertext opens" "$opened" = "$(printf hello | base64)"
}

take_token_away() {
  say ""
  say "The token is taken away. What is in memory goes on; what needs the token is refused, and may be tried again."
  show mv "$tokens" "$tokens.away"
  refused vault write -force keylife/keys/invoices
  opens "$after"
  show vault read keylife/hsm/status
  expect "the token is seen to be away" "$(state_of_token)" = unavailable
}

give_token_back() {
  local begin
  say ""
  say "The token is given back. The plugin finds it by itself."
  show mv "$tokens.away" "$tokens"
  begin=$SECONDS
  printf '\n$ vault write -force keylife/keys/invoices\n' >&2
  until vault write -force keylife/keys/invoices 2>/dev/null; do
    ((SECONDS - begin < recovery_limit)) || die "the token is not used again within ${recovery_limit}s"
    sleep 0.2
  done
  say "Done after $((SECONDS - begin))s."
  expect "the token works again" "$(state_of_token)" = healthy
}

rotate_keks() {
  local old new
  say ""
  say "The key encryption keys are replaced. Those before unwrap until all that they wrapped is wrapped by the new ones, which takes some minutes."
  old=$(vault read -format=json keylife/hsm/status | jq -r .data.active.use)
  show vault write keylife/hsm/keks/rotate reason=demonstration
  show vault list -detailed keylife/hsm/keks
  new=$(vault read -format=json keylife/hsm/status | jq -r .data.active.use)
  expect "another key wraps" "$new" != "$old"
  expect "the key before only unwraps" "$(vault read -field=state "keylife/hsm/keks/$old")" = decrypt_only
  opens "$before"
}

invite_hsm() {
  cat <<TEXT

  vault read keylife/hsm/status
  vault list -detailed keylife/hsm/keks
  mv $tokens $tokens.away && vault write -force keylife/keys/ledger
  mv $tokens.away $tokens && vault write -force keylife/keys/ledger
TEXT
}
