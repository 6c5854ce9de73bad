# Reads the events of `go test -json` and says what failed: every test with what it printed, then all their names, each with the
# first lines of that: which assertion it was. A package that failed and named no test (its process was killed, or panicked
# outside of one) is shown with the tests that were under way and the end of what it printed.
#
#   jq -rn -f scripts/failures.jq <events

def key: "\(.Package) \(.Test // "")";

# asserted is what a test printed first, without the lines of go test and what is no more than a log.
def asserted:
  split("\n") | map(select(test("^\\s*$|^=== |^\\s*--- ") | not))
  | .[:(map(test("end of the .* log:")) | index(true)) // length] | .[:15] | map("        \(.[:300])\n") | join("");

reduce inputs as $e ({said: {}, running: {}, failed: [], dead: [], last: {}};
  ($e | key) as $key |
  if $e.Action == "output" then
    .said[$key] += [$e.Output] | .last[$e.Package] = ((.last[$e.Package] // []) + [$e.Output])[-60:]
  elif $e.Action == "run" then
    .running[$key] = $e.Package
  elif $e.Action == "pass" or $e.Action == "skip" then
    del(.said[$key], .running[$key])
  elif $e.Action == "fail" and $e.Test then
    .failed += [{package: $e.Package, $key, said: (.said[$key] // [] | join(""))}] | del(.running[$key])
  elif $e.Action == "fail" then
    .dead += [$e.Package]
  else . end)
| (.dead - [.failed[].package]) as $nameless
| (.failed[] | "---- \(.key)\n\(.said)"),
  (. as $all | $nameless[] | . as $package |
    "---- \($package) failed and named no test\nunder way: \([$all.running | to_entries[] | select(.value == $package) | .key | split(" ")[1]] | join(", "))\n\($all.last[$package] // [] | join(""))"),
  (.failed[] | "FAILED  \(.key)\n\(.said | asserted)"),
  ($nameless[] | "FAILED  \(.), without naming a test\n")
