#!/usr/bin/env python3
"""readme.py ROOT: the C program that the README shows is examples/c/first_token.c, and it is short."""
import pathlib
import re
import sys


def main():
    root = pathlib.Path(sys.argv[1])
    source = (root / "examples/c/first_token.c").read_text(encoding="utf-8")
    shown = re.findall(r"```c\n(.*?)```", (root / "README.md").read_text(encoding="utf-8"), flags=re.S)
    lines = [line for line in source.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) > 20:
        print(f"examples/c/first_token.c: {len(lines)} lines of code; the README promises 20")
        return 1
    if source not in shown:
        print("README.md: its C block differs from examples/c/first_token.c; copy the file there as it stands")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
