#!/usr/bin/env bash
# Shows Hudhud on this machine: installs what is missing, builds, and runs `hudhud demo` with the arguments given here.
# The demo reaches nothing but this machine: its Cloud API is a simulator, its people are made up.
set -euo pipefail

if [ -n "${CARGO_TARGET_DIR:-}" ]; then CARGO_TARGET_DIR=$(realpath -m "$CARGO_TARGET_DIR") && export CARGO_TARGET_DIR; fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
(
  cd "$here"
  . deploy/packages.sh
  # Hudhud starts a private one as its child; the service that the package may start on port 6379 is not used.
  has_redis || install_packages redis-server
)
"$here/deploy/build.sh"
exec "${CARGO_TARGET_DIR:-$here/target}/release/hudhud" demo "$@"
