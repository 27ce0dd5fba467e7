# shellcheck shell=bash
# Sourced by deploy/demo.sh and tests/run.sh: what the system's packages must provide. Nothing is installed that is
# there already, and whoever may not install is told the command.

say() { printf '%s\n' "$*" >&2; }

# has_redis, has_postgres: is a server there that can be started privately?
has_redis() { [ -n "${REDIS_SERVER_BIN:-}" ] || command -v redis-server >/dev/null || command -v valkey-server >/dev/null; }
has_postgres() { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

# install_packages PACKAGE…: by apt-get, as root or through sudo.
install_packages() {
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    # A password can be asked for only where somebody sits.
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then as_root=(sudo); else as_root=(false); fi
  fi
  if ! command -v apt-get >/dev/null || [ "${as_root[*]}" = false ]; then
    say "Missing: $*. Install it and run this again; on Debian and Ubuntu: sudo apt-get install $*"
    return 1
  fi
  say "Installing $* from the system's packages"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
  # The lists may be absent on a fresh machine, or old; only then are they fetched.
  if ! "${apt[@]}" install -y --no-install-recommends "$@" </dev/null >&2; then
    "${apt[@]}" update </dev/null >&2
    "${apt[@]}" install -y --no-install-recommends "$@" </dev/null >&2
  fi
}

# find_rust: cargo on the path, or where rustup puts it.
find_rust() {
  command -v cargo >/dev/null || PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
  if ! command -v cargo >/dev/null; then
    say "Missing: Rust. Install it with rustup (https://rustup.rs) and run this again; the right version follows by itself."
    return 1
  fi
}

# Rust links with the C compiler, and two dependencies hold C.
find_cc() { command -v cc >/dev/null || install_packages gcc libc6-dev; }
