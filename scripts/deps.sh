#!/usr/bin/env bash
# Installs what a fresh Debian machine lacks and this project uses. Does nothing, and needs no
# rights, where everything is there. Go is not installed here, only checked.
#
#   scripts/deps.sh [dev [hsm]]
#
# dev: only what the dev server needs; with hsm, that with a token.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# What must exist (a command, or a file when it starts with /, which may be a pattern) and the Debian package that brings it.
needs=(
  jq:jq
)
hsm=(
  gcc:gcc # what speaks PKCS#11 is cgo, and so is go test -race
  /usr/include/stdlib.h:libc6-dev
  softhsm2-util:softhsm2 # the tokens of the tests and of the dev server
)
case $* in
  '') needs+=(
    make:make
    git:git
    /etc/ssl/certs/ca-certificates.crt:ca-certificates # for the module proxy
    shellcheck:shellcheck
    strace:strace # makes disks slow, full and fail under a node
    "${hsm[@]}"
    '/usr/lib/*/libsoftokn3.so:libnss3'
    chromium:chromium # test/ui looks at the pages of keylife ui in it
    /usr/bin/python3:python3 # python/ and its tests
    /usr/lib/python3/dist-packages/cryptography:python3-cryptography
    /usr/lib/python3/dist-packages/hvac:python3-hvac
    /usr/lib/python3/dist-packages/django:python3-django
    /usr/lib/python3/dist-packages/sqlalchemy:python3-sqlalchemy
    /usr/lib/python3/dist-packages/prometheus_client:python3-prometheus-client
    /usr/lib/python3/dist-packages/flask:python3-flask # python/ is run under it
    /usr/bin/gunicorn:gunicorn
    promtool:prometheus # checks metrics
    /usr/lib/python3/dist-packages/setuptools:python3-setuptools # python/ is packaged with these
    /usr/lib/python3/dist-packages/wheel:python3-wheel
    /usr/lib/python3/dist-packages/pip:python3-pip
    /usr/lib/python3/dist-packages/pytest:python3-pytest
    /usr/lib/python3/dist-packages/mypy:mypy
    promtool:prometheus # checks the rules and tests them
    prometheus:prometheus # scrapes Vault in the acceptance tests
  ) ;;
  dev) ;;
  'dev hsm') needs+=("${hsm[@]}") ;;
  *) die "usage: scripts/deps.sh [dev [hsm]]" ;;
esac

missing_packages() {
  local need thing
  for need in "${needs[@]}"; do
    thing=${need%%:*}
    [[ $thing == /* ]] && compgen -G "$thing" >/dev/null || command -v "$thing" >/dev/null || printf '%s\n' "${need#*:}"
  done
}

install() {
  local as_root=()
  command -v apt-get >/dev/null || die "missing: $* (these are Debian's names; install them with your package manager)"
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "missing: $* — run as root: apt-get install -y $*"
    as_root=(sudo)
  fi
  say "==> installing $*"
  "${as_root[@]}" apt-get update -qq </dev/null
  without_services "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >&2
}

# without_services COMMAND... runs a command under Debian's policy that no service is started, now or at boot: the tests start what
# they need. A policy that is there stays.
without_services() {
  local policy=/usr/sbin/policy-rc.d status=0 made=
  if [[ ! -e $policy ]]; then
    made=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null && "${as_root[@]}" chmod 755 "$policy" || return
  fi
  "$@" || status=$?
  [[ -z $made ]] || "${as_root[@]}" rm -f "$policy"
  if ((status == 0)) && [[ " $* " == *" prometheus "* ]]; then "${as_root[@]}" update-rc.d prometheus disable; fi
  return "$status"
}

require_go
mapfile -t missing < <(missing_packages)
((${#missing[@]} == 0)) || install "${missing[@]}"
