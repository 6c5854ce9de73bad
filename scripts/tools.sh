#!/usr/bin/env bash
# Installs the Go tools of check.sh, at the versions below and nowhere else, into bin/tools.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tools=(
  mvdan.cc/gofumpt@v0.12.0
  golang.org/x/vuln/cmd/govulncheck@v1.9.0
  github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
)

export GOBIN=$root/bin/tools

# A stamp per tool names version and Go release: staticcheck built with an older Go cannot read
# the packages of a newer one.
install_tool() {
  local tool=$1 name stamp want
  name=$(basename "${tool%@*}")
  stamp=$GOBIN/.$name.stamp
  want="$tool $(go env GOVERSION)"
  [[ -x $GOBIN/$name && -f $stamp && $(<"$stamp") == "$want" ]] && return
  watched "$name" go install -v "$tool" || die "$tool did not build"
  printf '%s\n' "$want" >"$stamp"
}

require_go
mkdir -p "$GOBIN"
cd /
for tool in "${tools[@]}"; do
  install_tool "$tool"
done
