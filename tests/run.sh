#!/usr/bin/env bash
# Runs every check: form, lints, tests, the built executables' stories, dependencies, fixtures.
#
#   tests/run.sh           what .ci/run runs
#   tests/run.sh --long    also the long stories, all of them with the release executables, and the documentation's lints
#
# Installs what is missing (Redis, PostgreSQL and Chromium from the system's packages). Uses private servers only, on sockets and
# ports of its own: services that the system may run are left alone. Goes on after a failure, so that one run tells
# everything, and exits 1 at the end if anything failed.
set -uo pipefail

if [ -n "${CARGO_TARGET_DIR:-}" ]; then CARGO_TARGET_DIR=$(realpath -m "$CARGO_TARGET_DIR") && export CARGO_TARGET_DIR; fi
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
. deploy/packages.sh
case ${1:-} in
"") patience=60m ;;
--long) export HUDHUD_LONG=1 patience=6h ;;
*) say "usage: tests/run.sh [--long]" && exit 2 ;;
esac
# Settings of the caller's own Hudhud must not reach the tests.
for name in $(compgen -e HUDHUD_); do [ "$name" = HUDHUD_LONG ] || unset "$name"; done
# What is compiled once and thrown away gains nothing from being prepared for the next change.
[ -z "${CI:-}" ] || export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
# Tests wait more than they work: for paces, for disks, for each other. (Whole-system stories take turns by themselves.)
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) * 5 / 2))}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto} RUST_BACKTRACE=1

find_rust && find_cc || exit 1
has_redis || install_packages redis-server || exit 1
has_postgres || install_packages postgresql || exit 1
command -v python3 >/dev/null || install_packages python3 || exit 1
has_chromium || install_packages chromium fonts-noto-core || exit 1

target=${CARGO_TARGET_DIR:-$PWD/target}
# Whose executables the stories run: those of the tests' own build, since a second build of everything takes longer than
# all stories together; the long ones those that users run.
if [ -n "${HUDHUD_LONG:-}" ]; then bin=$target/release; else bin=$target/debug; fi
results=()
failures=0
kept=$(mktemp -d)
aside_pid=
trap 'rm -rf "$kept"; [ -z "$aside_pid" ] || kill -- "-$aside_pid" 2>/dev/null' EXIT
: >"$kept/counts"

# ended NAME SECONDS STATUS: remembers how a step ended.
ended() {
  if [ "$3" -eq 0 ]; then
    results+=("ok      $1 ($2 s)")
  else
    results+=("FAILED  $1 ($2 s)")
    failures=$((failures + 1))
  fi
}

# step NAME COMMAND…: runs it.
step() {
  local name=$1 began=$SECONDS status=0
  shift
  printf '\n== %s\n' "$name"
  "$@" </dev/null || status=$?
  ended "$name" "$((SECONDS - began))" "$status"
}

# beside NAME COMMAND…: starts it beside the steps that follow, until `gather` tells what it said.
beside() {
  aside=$1
  shift
  # In a group of its own, which ends with this script.
  set -m
  (
    status=0
    "$@" </dev/null >"$kept/aside" 2>&1 || status=$?
    echo "$SECONDS $status" >"$kept/aside.ended"
  ) &
  aside_pid=$! aside_began=$SECONDS
  set +m
}
gather() {
  wait "$aside_pid"
  aside_pid=
  printf '\n== %s (beside the steps before)\n' "$aside"
  cat "$kept/aside"
  read -r ends status <"$kept/aside.ended"
  ended "$aside" "$((ends - aside_began))" "$status"
}

# counted COMMAND…: runs it and adds up the closing lines of its tests, cargo's and node's.
counted() {
  local log status
  log=$(mktemp)
  timeout "$patience" "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  read -r p f < <(python3 - "$log" <<'PY'
import re, sys
text = re.sub(r"\x1b\[[0-9;]*m", "", open(sys.argv[1], errors="replace").read())
cargo = re.findall(r"^test result: .*?(\d+) passed; (\d+) failed", text, re.M)
node = zip(re.findall(r"^(?:#|ℹ) pass (\d+)", text, re.M), re.findall(r"^(?:#|ℹ) fail (\d+)", text, re.M))
both = [tuple(map(int, pair)) for pair in [*cargo, *node]]
print(sum(p for p, _ in both), sum(f for _, f in both))
PY
  )
  rm -f "$log"
  echo "$p $f" >>"$kept/counts"
  echo "-- $p passed, $f failed"
  [ "$status" -eq 0 ] && [ "$f" -eq 0 ]
}

# Asks the built server whatever its description allows and more, for 40 seconds; without a seed, something else each time.
fuzz() { python3 tests/fuzz_api.py "$bin/hudhud" "$bin/simulator" --seconds 40 --seed 1; }

docs() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet; }

# The crates' tests, the stories, and, since the programs' own tests need them, the executables; linted as they are
# compiled. `cargo clippy` has clippy-driver in the compiler's place too, but makes no code: every dependency would be
# compiled twice.
compile_tests() {
  export RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__
  cargo test --locked --workspace --all-targets --no-run --quiet && return
  # The tests tell more, even where a lint complains.
  unset RUSTC_WORKSPACE_WRAPPER CLIPPY_ARGS
  return 1
}
all_tests() {
  HUDHUD_BIN=$bin/hudhud SIMULATOR_BIN=$bin/simulator counted cargo test --locked --workspace --no-fail-fast
}
forecasts() {
  counted env -u RUSTC_WORKSPACE_WRAPPER -u CLIPPY_ARGS cargo test --release --locked -p engine --test stories forecast -- \
    --test-threads 1
}
console_tests() {
  # The Node that built it; where there is none, there is no console to test.
  find_node crates/console/web || return 1
  cd crates/console/web || return 1
  HUDHUD_BIN=$bin/hudhud SIMULATOR_BIN=$bin/simulator counted npm test
  local status=$?
  cd - >/dev/null || return 1
  return $status
}

step "form: cargo fmt" cargo fmt --all --check
step "licences and unused dependencies" python3 tests/dependencies.py
step "fixtures are as their generator makes them" python3 fixtures/make.py --check
if [ -n "${HUDHUD_LONG:-}" ]; then
  step "documentation without warnings" docs
  step "console and release executables: deploy/build.sh" deploy/build.sh
else
  step "console: deploy/build.sh --console" deploy/build.sh --console
fi
step "lints (clippy); tests and executables, compiled" compile_tests
# Browsers wait as much as everything else does.
if [ -f crates/console/web/package.json ]; then beside "console" console_tests; fi
step "tests of the crates, and stories with the executables" all_tests
if [ -n "${HUDHUD_LONG:-}" ]; then
  step "twenty forecasts, one database after the other" forecasts
fi
step "the API's answers to anything: tests/fuzz_api.py" fuzz
if [ -f crates/console/web/package.json ]; then gather; fi

passed=0
failed=0
while read -r p f; do passed=$((passed + p)) failed=$((failed + f)); done <"$kept/counts"
printf '\n== closing\n'
printf '%s\n' "${results[@]}"
printf 'tests: %d passed, %d failed; checks: %d of %d passed; %d min %d s\n' \
  "$passed" "$failed" "$((${#results[@]} - failures))" "${#results[@]}" "$((SECONDS / 60))" "$((SECONDS % 60))"
[ "$failures" -eq 0 ]
