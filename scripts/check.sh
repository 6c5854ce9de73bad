#!/usr/bin/env bash
# The one check behind make, pre-commit and CI.
#
#   scripts/check.sh [lint|unit|clients|fuzz|acceptance|drills|all]
#
# Every step runs even when an earlier one failed: one run tells everything that is wrong. Of all, what waits (acceptance tests,
# govulncheck, clients) runs beside the others.
#   FUZZTIME         how long each fuzz target runs (default 30s), in Go's terms: 30s, or 100000x
#   KEYLIFE_TORTURE  how long the acceptance tests kill the plugin and give up requests, such as 5m
#   KEYLIFE_UI_KEYS  how many keys a large mount has whose pages are looked at in Chromium (default 1000)
#   KEYLIFE_SOAK     how long a key of applications is rotated every 10 seconds, such as 10m
#   VAULT_BIN        the Vault to test against (default: see scripts/vault.sh)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

bin=$root/bin/tools
summary=()
failed=0
not_run=0
last=ok # how the step before ended
beside= # the process group of what runs beside the steps
scratch=$(mktemp -d)
failures=${FAILURES:-$scratch/failures} # the tests that failed, said once more at the end; of a run beside another, that one's

clean_up() {
  [[ -z $beside ]] || kill -- -"$beside" 2>/dev/null || true
  rm -rf "$scratch"
}
trap clean_up EXIT

# step NAME COMMAND... times one step and remembers how it ended. A step that returns 77 could not
# run on this machine: said, never counted as passed.
step() {
  local name=$1 begin=$SECONDS status=0 word
  shift
  printf '==> %s\n' "$name"
  "$@" || status=$?
  case $status in
    0) word=ok ;;
    77) word=NOT-RUN not_run=$((not_run + 1)) ;;
    *) word=FAILED failed=1 ;;
  esac
  last=$word
  summary+=("$(printf '%-8s %4ds  %s' "$word" $((SECONDS - begin)) "$name")")
  printf '    %s: %s, %ds\n' "$name" "$word" $((SECONDS - begin))
}

# The steps are called from the left of a ||, where set -e is off: each is one chain of && or says
# its own return.

formatted() {
  local unformatted
  unformatted=$("$bin/gofumpt" -l .) || return
  [[ -z $unformatted ]] && return
  printf 'not formatted (make fmt does it):\n%s\n' "$unformatted"
  return 1
}

# golangci-lint vets all else.
vet() { go vet -tags testclock ./internal/clock; }

shell() { shellcheck -x scripts/*.sh .ci/run; }

# Only an unreachable vulnerability database is forgiven; a finding, or any other trouble, is not.
vulnerabilities() {
  local out status=0
  out=$("$bin/govulncheck" -C "${1:-.}" ./... 2>&1) || status=$?
  printf '%s\n' "$out"
  ((status)) || return 0
  [[ $out == *"fetching vulnerabilities:"* ]] || return "$status"
  echo "NOT RUN: the vulnerability database cannot be reached from this machine"
  return 77
}

lint() {
  style
  step govulncheck vulnerabilities
}

style() {
  step gofumpt formatted
  step "go vet" vet
  step golangci-lint "$bin/golangci-lint" run --allow-parallel-runners
  step shellcheck shell
  step "go mod tidy" go mod tidy -diff
}

# Tests make little that lasts: a collector that comes at five times what lives, and not at twice, takes 14 to 30 % of the CPU
# off the packages that were measured.
export GOGC=${GOGC:-400}

# A process with the race detector waits a second before it ends, for reports of what else runs: in fifty processes whose tests
# have ended.
export GORACE=${GORACE:-atexit_sleep_ms=50}

# tests FILE runs go test, keeps its events in the file, prints one line for each package, and shows at its end what failed.
# The time limit is there to name a test that hangs: it leaves a machine that has much else to do ten times what it needs.
tests() {
  local events=$1 status=0
  shift
  go test -json -vet=off -timeout 60m "$@" | tee "$events" |
    jq -rj 'select(.Action == "build-output" or .Action == "output" and .Test == null) | .Output | select(. != "PASS\n" and . != "FAIL\n")' || status=$?
  ((status == 0)) || failed_of "$events" || true
  return "$status"
}

failed_of() {
  jq -rn -f scripts/failures.jq "$1" >"$1.failed" || return
  cat "$1.failed"
  sed -n '/^FAILED  /,$p' "$1.failed" >>"$failures"
}

# smaller FILE lists package and name of the tests that did less under the race detector than they do without: they say so
# by an attribute, see internal/racetest. ended FILE lists all tests that came to an end.
smaller() { jq -r 'select(.Action == "attr" and .Key == "race") | "\(.Package) \(.Test | sub("/.*"; ""))"' "$1" | sort -u; }
ended() { jq -r 'select(.Action == "pass" and .Test != null) | "\(.Package) \(.Test)"' "$1" | sort -u; }

# The race detector runs every test, and of some a part only. The second run, without it, is for those alone, and for all
# where the first did not come to its end. What is in full in neither is a failure.
unit() {
  local raced=$scratch/raced plain=$scratch/plain
  step "unit tests, race" tests "$raced" -race -shuffle=on ./...
  if [[ $last != ok ]]; then
    step "unit tests, plain" tests "$plain" ./...
    return
  fi
  smaller "$raced" >"$scratch/smaller"
  step "unit tests, plain" in_full "$plain"
}

# What applications use: a Go module and a Python package, in one format. Python's tests ask Go, and Go's vectors are theirs.
clients() {
  step "client, vet" go -C client vet ./...
  step "client, lint" linted client
  step "client, tidy" go -C client mod tidy -diff
  step "client, govulncheck" vulnerabilities client
  step "applications, lint" linted test/apps
  step "applications, tidy" go -C test/apps mod tidy -diff
  step "clients of Transit, lint" linted test/clients
  step "clients of Transit, tidy" go -C test/clients mod tidy -diff
  step "pages in Chromium, lint" linted test/ui
  step "pages in Chromium, tidy" go -C test/ui mod tidy -diff
  step "client, tests" go -C client test -race -shuffle=on ./...
  step "python, types" in_python mypy --strict --cache-dir=/dev/null keylife
  step "applications, types" in_python mypy --strict --cache-dir=/dev/null --ignore-missing-imports ../test/apps/python
  step "python, tests" in_python pytest -q
}

linted() { (cd "$1" && "$bin/golangci-lint" run --allow-parallel-runners -c "$root/.golangci.yml" ./...); }
in_python() { (cd python && MYPYPATH=. PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m "$@"); }

in_full() {
  local packages names missing
  [[ -s $scratch/smaller ]] || {
    echo "no test says that it did less under the race detector: is internal/racetest still asked?"
    return 1
  }
  mapfile -t packages < <(cut -d ' ' -f 1 "$scratch/smaller" | sort -ru) # last in the alphabet are whole mounts, which take longest
  names=$(cut -d ' ' -f 2 "$scratch/smaller" | sort -u | paste -sd '|')
  tests "$1" -run "^($names)\$" "${packages[@]}" || return
  missing=$(ended "$1" | comm -13 - "$scratch/smaller")
  [[ -z $missing ]] && return
  printf 'in full neither with the race detector nor without:\n%s\n' "$missing"
  return 1
}

build() {
  step "build without cgo" without_cgo
  step "build plugin" scripts/build.sh
  step "build plugin with PKCS#11" scripts/build.sh hsm
}

# Where no C compiler is, all builds, and what speaks PKCS#11 says that it cannot.
without_cgo() { CGO_ENABLED=0 go build ./... && CGO_ENABLED=0 go vet ./hsm/... && CGO_ENABLED=0 go test ./hsm/p11; }

acceptance() {
  local vault plugin testclock hsm hsm_testclock noop transit
  if ! vault=$(scripts/vault.sh) || ! plugin=$(scripts/build.sh) || ! testclock=$(scripts/build.sh testclock) ||
    ! hsm=$(scripts/build.sh hsm) || ! hsm_testclock=$(scripts/build.sh hsm testclock) ||
    ! noop=$(scripts/bench_peer.sh noop) || ! transit=$(scripts/bench_peer.sh transit); then
    step "acceptance tests" false
    return
  fi
  export VAULT_BIN=$vault KEYLIFE_PLUGIN=$plugin KEYLIFE_PLUGIN_TESTCLOCK=$testclock
  export KEYLIFE_PLUGIN_HSM=$hsm KEYLIFE_PLUGIN_HSM_TESTCLOCK=$hsm_testclock BENCH_NOOP=$noop BENCH_TRANSIT=$transit
  local packages
  mapfile -t packages < <(accepting)
  step "acceptance tests" tests "$scratch/accepted" -tags acceptance -count=1 "${packages[@]:?}"
  step "applications" applications 'OnBothEngines|Example'
  step "clients of Transit" go -C test/clients test -race -count=1 -timeout 20m ./...
  step "pages in Chromium" go -C test/ui test -count=1 -timeout 60m ./...
}

# drills take Vault and rights away under load, and measure what becomes of it in seconds. Beside other work they would measure that.
drills() {
  VAULT_BIN=$(scripts/vault.sh) && KEYLIFE_PLUGIN=$(scripts/build.sh) && KEYLIFE_PLUGIN_TESTCLOCK=$(scripts/build.sh testclock) || return
  export VAULT_BIN KEYLIFE_PLUGIN KEYLIFE_PLUGIN_TESTCLOCK
  step drills applications .
}

applications() { go -C test/apps test -race -count=1 -timeout 60m -parallel 32 -run "$1" ./...; } # they wait most of the time

# accepting lists the packages that have tests with the tag acceptance. All others are unit tests, wherever they lie.
accepting() { comm -13 <(test_files) <(test_files -tags acceptance) | cut -d ' ' -f 1; }
test_files() { go list -f '{{.ImportPath}} {{.TestGoFiles}} {{.XTestGoFiles}}' "$@" ./... | sort; }

# The acceptance tests wait for Vault's clock more than they compute, and govulncheck for the network, so they run beside
# everything else: in a run of this script of their own, whose output is shown when all else is done. It leads a process group,
# to be ended with this script.
waiting() {
  acceptance
  step govulncheck vulnerabilities
  clients
}

begin_waiting() {
  set -m
  FAILURES=$failures scripts/check.sh waiting >"$scratch/waiting.log" 2>&1 </dev/null &
  beside=$!
  set +m
}

end_waiting() {
  local status=0
  wait "$beside" || status=$?
  beside=
  cat "$scratch/waiting.log"
  return "$status"
}

# Fuzzing explores by chance, so it is no part of all: a red CI is about the change under test. What
# it finds is committed below testdata/fuzz, and the unit tests replay that always. go test takes one
# target of one package at a time. The tag lets FuzzRequests move the clock, and an
# input is not made smaller for longer than a few runs, which take their time there.
fuzz() {
  fuzz_module "$1" .
  fuzz_module "$1" client
}

fuzz_module() {
  local listing targets package target module=$2
  listing=$(go -C "$module" test -list '^Fuzz' ./...) || {
    printf '%s\n' "$listing"
    step "fuzz $module" false
    return
  }
  targets=$(awk '/^Fuzz/ { names[n++] = $1 } /^ok/ { for (i = 0; i < n; i++) print $2, names[i]; n = 0 }' <<<"$listing")
  while read -r package target; do
    [[ -n $target ]] || continue
    step "$target" go -C "$module" test -tags testclock -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 20x "$package" </dev/null
  done <<<"$targets"
}

all() {
  step "vault binary" scripts/vault.sh
  step tools scripts/tools.sh
  build
  begin_waiting
  style
  unit
  step "acceptance tests, govulncheck and clients, begun before lint" end_waiting
}

report() {
  local time=$((SECONDS / 60))m$((SECONDS % 60))s
  printf '\n'
  if [[ -s $failures && -z ${FAILURES:-} ]]; then cat "$failures"; fi
  printf '%s\n' "${summary[@]}"
  if ((failed)); then
    echo "FAILED in $time"
    return 1
  fi
  echo "passed in $time, $not_run of ${#summary[@]} steps not run"
}

require_go
case ${1:-all} in
  lint)
    step tools scripts/tools.sh
    lint
    ;;
  clients)
    step tools scripts/tools.sh
    clients
    ;;
  unit | acceptance | drills | waiting | all) "${1:-all}" ;;
  fuzz) fuzz "${FUZZTIME:-30s}" ;;
  *) die "usage: scripts/check.sh [lint|unit|clients|fuzz|acceptance|drills|all]" ;;
esac
report
