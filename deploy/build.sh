#!/usr/bin/env bash
# Builds Hudhud: the web console where its sources are here, then the release executables `hudhud` and `simulator`,
# into $CARGO_TARGET_DIR/release or target/release. Run again, it does only what changed.
#
#   deploy/build.sh              everything
#   deploy/build.sh --console    the web console alone, for who compiles the rest otherwise
set -euo pipefail

# A relative target directory is meant from where the caller stands.
if [ -n "${CARGO_TARGET_DIR:-}" ]; then CARGO_TARGET_DIR=$(realpath -m "$CARGO_TARGET_DIR") && export CARGO_TARGET_DIR; fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/packages.sh
case ${1:-} in
"") only_console= ;;
--console) only_console=1 ;;
*) say "usage: deploy/build.sh [--console]" && exit 2 ;;
esac
if [ -z "$only_console" ]; then
  find_rust
  find_cc
fi

web=crates/console/web

console() {
  # What the build was made from; the same sources are not built twice.
  local made=$web/node_modules/.built-from now
  now=$(cd $web && find . \( -name node_modules -o -name .node -o -name dist -o -name screenshots -o -name schema.d.ts \) -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
  if [ -f $web/dist/index.html ] && [ "$(cat "$made" 2>/dev/null)" = "$now" ]; then
    say "Console: unchanged"
    return
  fi
  if ! find_node $web; then
    say "Console: left out, since there is no Node here. Everything else works; install nodejs and npm, and run this again."
    return
  fi
  say "Console: npm ci and build in $web"
  (cd $web && npm ci --no-audit --no-fund --loglevel=error >&2 && npm run --silent build >&2)
  printf '%s' "$now" >"$made"
  # The build is embedded when this crate is compiled, and cargo does not see new files under dist.
  touch crates/console/src/lib.rs
}

if [ -f $web/package.json ]; then console; fi
if [ -n "$only_console" ]; then exit 0; fi
say "Executables: cargo build --release"
cargo build --release --locked -p hudhud -p simulator </dev/null
say "Built: ${CARGO_TARGET_DIR:-target}/release/hudhud and ${CARGO_TARGET_DIR:-target}/release/simulator"
