# A Vault dev server on loopback with the plugin in its catalog; sourced after lib.sh.
# shellcheck shell=bash

server='' plugins='' scratch='' log=''
# shellcheck disable=SC2154 # root is lib.sh's
vault_binary=$("$root/scripts/vault.sh")

# So that a command in a script is the one a reader would type.
vault() { "$vault_binary" "$@"; }

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# choose_port insists on $PORT where it is set: a script that asked for it will connect to it.
choose_port() {
  local port
  if [[ -n ${PORT:-} ]]; then
    ! taken "$PORT" || die "port $PORT is taken"
    printf '%s\n' "$PORT"
    return
  fi
  for port in {8200..8299}; do
    taken "$port" || break
  done
  printf '%s\n' "$port"
}

# start_server [hsm] starts it, with the plugin that speaks PKCS#11 or the other one, and leaves VAULT_ADDR and VAULT_TOKEN set for the commands that follow.
start_server() {
  local port built
  port=$(choose_port)
  built=$("$root/scripts/build.sh" "$@")
  log=$root/bin/dev-$port.log
  # Vault registers every file of this directory under the file's name, so it holds only ours.
  plugins=$(mktemp -d) scratch=$(mktemp -d)
  cp "$built" "$plugins/keylife"
  # What a person's shell says of another Vault must not reach this one.
  unset "${!VAULT_@}"
  export VAULT_ADDR=http://127.0.0.1:$port VAULT_TOKEN=root
  say "==> starting Vault on $VAULT_ADDR, log in $log"
  "$vault_binary" server -dev -dev-no-store-token -dev-root-token-id=root \
    -dev-listen-address="127.0.0.1:$port" -dev-plugin-dir="$plugins" >"$log" 2>&1 </dev/null &
  server=$!
  wait_until_ready
}

wait_until_ready() {
  local begin=$SECONDS
  until vault status >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || die "Vault ended while starting"
    ((SECONDS - begin < 60)) || die "Vault did not answer within a minute"
    sleep 0.2
  done
}

# stop_server is for trap EXIT. It shows why a run failed: the end of the server's log.
stop_server() {
  local status=$?
  trap - EXIT INT TERM HUP PIPE
  # Before the shutdown adds its own lines. 130: somebody pressed Ctrl-C and knows why it ended.
  if ((status != 0 && status != 130)) && [[ -s $log ]]; then
    printf '\nThe end of %s:\n' "$log" >&2
    tail -n 30 "$log" >&2
  fi
  if [[ -n $server ]]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  [[ -z $plugins ]] || rm -rf "$plugins" "$scratch"
  exit "$status"
}
