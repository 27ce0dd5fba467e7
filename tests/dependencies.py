#!/usr/bin/env python3
"""Checks what the workspace depends on: every licence is one that may be shipped with Apache-2.0 OR MIT code, every
dependency is used by the crate that declares it, and every shared declaration by some crate."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Permissive licences, or copyleft of single files that are used unchanged.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CDLA-Permissive-2.0", "ISC", "MIT",
    "MIT-0", "MPL-2.0", "OpenSSL", "Unicode-3.0", "Unicode-DFS-2016", "Unlicense", "Zlib",
    "Apache-2.0 WITH LLVM-exception",
}


def allows(expression):
    """Whether an SPDX expression can be met with allowed licences alone. `MIT/Apache-2.0` is the old way to write OR."""
    words = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    place = 0

    def peek():
        return words[place] if place < len(words) else None

    def take():
        nonlocal place
        place += 1
        return words[place - 1]

    def licence():
        if peek() == "(":
            take()
            met = either()
            take()
            return met
        name = take()
        if peek() == "WITH":
            take()
            name = f"{name} WITH {take()}"
        return name in ALLOWED

    def both():
        met = licence()
        while peek() == "AND":
            take()
            met = licence() and met
        return met

    def either():
        met = both()
        while peek() == "OR":
            take()
            met = both() or met
        return met

    return either()


def metadata():
    host = next(
        line.split(": ")[1]
        for line in subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
        if line.startswith("host: ")
    )
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", host]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)


def code_of(folder):
    """The Rust code of a crate, without comments and strings' insides being told apart: a mention is enough."""
    lines = []
    for file in sorted(folder.rglob("*.rs")):
        if "target" in file.relative_to(folder).parts:
            continue
        lines += [line for line in file.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("//")]
    return "\n".join(lines)


def unused(package):
    folder = Path(package["manifest_path"]).parent
    code = code_of(folder)
    for dependency in package["dependencies"]:
        name = (dependency["rename"] or dependency["name"]).replace("-", "_")
        # Derive macros and paths name the crate; a bare word is enough for `use name as …` and attributes.
        if not re.search(rf"\b{re.escape(name)}\b\s*(::|as\b|;|\}}|,|\{{)", code):
            yield f"{package['name']} declares {dependency['name']} and does not use it"


def main():
    known = metadata()
    members = set(known["workspace_members"])
    problems = []
    for package in known["packages"]:
        if package["id"] in members:
            problems += unused(package)
        licence = package["license"] or ""
        if not licence:
            problems.append(f"{package['name']} {package['version']} names no licence")
        elif not allows(licence):
            problems.append(f"{package['name']} {package['version']} is under {licence}")
    shared = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["dependencies"]
    declared = {
        dependency["rename"] or dependency["name"]
        for package in known["packages"] if package["id"] in members
        for dependency in package["dependencies"]
    }
    problems += [f"the workspace declares {name} and no crate takes it" for name in shared if name not in declared]
    if problems:
        sys.exit("\n".join(f"dependencies: {problem}" for problem in problems))
    print(f"dependencies: {len(known['packages'])} packages, every licence allowed, none unused")


if __name__ == "__main__":
    main()
