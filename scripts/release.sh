#!/usr/bin/env bash
# Builds the plugin for each platform of a release into a folder, with SHA256SUMS beside them.
#
#   scripts/release.sh FOLDER
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

(($# == 1)) || die "usage: scripts/release.sh FOLDER"
mkdir -p "$1"
folder=$(cd "$1" && pwd)

for platform in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64; do
  suffix=
  [[ $platform == windows/* ]] && suffix=.exe
  built=$(CGO_ENABLED=0 GOOS=${platform%/*} GOARCH=${platform#*/} "$root/scripts/build.sh")
  cp "$built" "$folder/vault-plugin-keylife_${platform/\//_}$suffix"
done
rm -f "$built" # of the last platform, which need not be this one
(cd "$folder" && sha256sum -- vault-plugin-keylife_* >SHA256SUMS)
say "built into $folder"
