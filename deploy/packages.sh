# shellcheck shell=bash
# Sourced by deploy/demo.sh and tests/run.sh: what the system's packages must provide. Nothing is installed that is
# there already, and whoever may not install is told the command.

say() { printf '%s\n' "$*" >&2; }

# has_redis, has_postgres: is a server there that can be started privately?
has_redis() { [ -n "${REDIS_SERVER_BIN:-}" ] || command -v redis-server >/dev/null || command -v valkey-server >/dev/null; }
has_postgres() { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

# has_chromium: is a browser there for the console's tests?
has_chromium() { [ -n "${CHROMIUM_BIN:-}" ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; }

# find_node FOLDER: puts a Node on the path that builds and tests the console in FOLDER. Vite 8 needs 20.19 or newer;
# where the system's is older, npm brings one.
find_node() {
  local right='const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'
  command -v npm >/dev/null || install_packages nodejs npm || return 1
  node -e "$right" 2>/dev/null && return 0
  local own=$1/.node
  [ -x "$own/node_modules/node/bin/node" ] || {
    say "Node $(node --version 2>/dev/null || echo '(none)') is too old for the console's build; fetching the npm package node@22"
    npm install --silent --no-save --prefix "$own" node@22 >&2 || return 1
  }
  PATH=$PWD/$own/node_modules/node/bin:$PATH
}

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
