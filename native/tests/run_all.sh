#!/bin/sh
# Runs every command it is given, whatever becomes of the one before, and closes with one line for
# all of them: "native: N passed, N failed, N skipped". A program that dies without a summary is one
# failure; one that is skipped says why, and counts.
output=$(mktemp) || exit 1
trap 'rm -f "$output"' EXIT
passed=0
failed=0
skipped=0
for command in "$@"; do
  ${TEST_RUNNER-} $command >"$output" 2>&1
  status=$?
  grep -v '^ERR: .*ANGLE Display::initialize' "$output" # of renderers that ANGLE tries in vain
  counts=$(sed -n 's/^native [^:]*: \([0-9]*\) passed, \([0-9]*\) failed\(, \([0-9]*\) skipped\)\{0,1\}$/\1 \2 0\4/p' \
    "$output" | tail -n 1)
  read -r own_passed own_failed own_skipped <<EOF
${counts:-0 0 0}
EOF
  if [ "$status" -ne 0 ] && [ "$own_failed" -eq 0 ]; then
    echo "FAILED: ${command} ended with status ${status}"
    own_failed=1
  fi
  passed=$((passed + own_passed))
  failed=$((failed + own_failed))
  skipped=$((skipped + own_skipped))
done
echo "native: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
