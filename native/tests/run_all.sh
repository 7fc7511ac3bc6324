#!/bin/sh
# Runs every command it is given, whatever becomes of the one before, and closes with one line for
# all of them: "native: N passed, N failed". A program that dies without a summary is one failure.
output=$(mktemp) || exit 1
trap 'rm -f "$output"' EXIT
passed=0
failed=0
for command in "$@"; do
  $command >"$output" 2>&1
  status=$?
  cat "$output"
  counts=$(sed -n 's/^native [^:]*: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$output" | tail -n 1)
  passed=$((passed + ${counts% *} + 0))
  fails=${counts#* }
  if [ "$status" -ne 0 ] && [ "${fails:-0}" -eq 0 ]; then
    echo "FAILED: ${command} ended with status ${status}"
    fails=1
  fi
  failed=$((failed + ${fails:-0}))
done
echo "native: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
