# Shared by the scripts in this directory; sourced, never run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# require_go stops with one clear line when Go is absent or older than go.mod asks for.
require_go() {
  local want have
  want=$(awk '$1 == "go" { print $2; exit }' "$root/go.mod")
  command -v go >/dev/null || die "Go $want or newer is needed and no 'go' is on PATH"
  have=$(cd / && go env GOVERSION)
  have=${have#go}
  have=${have%%[- ]*}
  [[ $(printf '%s\n' "$want" "$have" | sort -V | head -n 1) == "$want" ]] ||
    die "Go $want or newer is needed; $(command -v go) is $have"
}

# ticker LOG LABEL tells every ten seconds what a go build that logs to LOG has done so far.
# It ends with the script that started it, so an interrupted build leaves nothing behind.
ticker() {
  local log=$1 label=$2 begin=$SECONDS
  while sleep 1 && kill -0 $$ 2>/dev/null; do
    (((SECONDS - begin) % 10)) && continue
    say "    $label: $((SECONDS - begin))s, $(progress_of "$log")"
  done
}

progress_of() {
  local log=$1 modules packages
  # grep -c prints 0 and fails where nothing matches yet.
  modules=$(grep -c '^go: downloading' "$log" || true)
  packages=$(grep -vc '^\(go: \|#\)' "$log" || true)
  printf '%s modules downloaded, %s packages compiled' "$modules" "$packages"
}

# watched LABEL COMMAND... runs a verbose go build or install with a sign of life on stderr.
# The build stays in the foreground: a Ctrl-C reaches it as it would without this wrapper.
watched() {
  local label=$1 log begin=$SECONDS status=0 ticking
  shift
  log=$(mktemp)
  ticker "$log" "$label" &
  ticking=$!
  "$@" >"$log" 2>&1 || status=$?
  kill "$ticking" 2>/dev/null || true
  wait "$ticking" 2>/dev/null || true
  if ((status)); then
    grep -v '^go: downloading' "$log" | tail -n 30 >&2 || true
    say "    $label: failed after $((SECONDS - begin))s"
  else
    say "    $label: done in $((SECONDS - begin))s, $(progress_of "$log")"
  fi
  rm -f "$log"
  return "$status"
}
