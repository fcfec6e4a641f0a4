#!/usr/bin/env python3
"""symbols.py LIBRARY HEADER: the library exports what the header declares, and nothing else."""
import re
import subprocess
import sys


def declared(path):
    text = re.sub(r"/\*.*?\*/", "", open(path, encoding="utf-8").read(), flags=re.S)
    return set(re.findall(r"^LB_API[^;(]*?\b(lb_\w+)\s*\(", text, flags=re.M))


def exported(path):
    lines = subprocess.run(["nm", "-D", "--defined-only", path], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1].split("@")[0] for line in lines.splitlines() if line.strip()}


def main():
    library, header = sys.argv[1:3]
    ours, theirs = declared(header), exported(library)
    lines = open(header, encoding="utf-8").read().splitlines()
    assert len(ours) == sum(line.startswith("LB_API ") for line in lines), "the pattern misses a declaration"
    for name in sorted(ours - theirs):
        print(f"{header}: {name} is declared but not exported")
    for name in sorted(theirs - ours):
        print(f"{library}: {name} is exported but not declared")
    soname = subprocess.run(["readelf", "-d", library], check=True, capture_output=True, text=True).stdout
    abi = re.search(r"#define LB_ABI (\d+)", open(header, encoding="utf-8").read()).group(1)
    named = f"[liblb.so.{abi}]" in soname
    stays = "NODELETE" in soname
    if not named or not stays:
        print(f"{library}: soname liblb.so.{abi}: {named}; nodelete: {stays}")
    return 0 if ours == theirs and named and stays else 1


if __name__ == "__main__":
    sys.exit(main())
