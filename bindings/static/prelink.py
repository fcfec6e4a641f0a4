#!/usr/bin/env python3
"""prelink.py OUTPUT LD OBJCOPY AR OBJECT-OR-ARCHIVE...: liblb.a, of one object in which nothing is visible but lb_*.

A host that has its own copy of libuv, mbedTLS or anything else of ours keeps it, and we keep ours: names are bound
before the host's linker sees them. Groups of C++ are resolved, or it would discard sections that are still in use.
"""
import pathlib
import subprocess
import sys
import tempfile


def main():
    output, ld, objcopy, ar, *inputs = sys.argv[1:]
    objects = [path for path in inputs if path.endswith(".o")]
    archives = [path for path in inputs if path.endswith(".a")]
    with tempfile.TemporaryDirectory() as folder:
        whole = str(pathlib.Path(folder) / "lb.o")
        subprocess.run([ld, "-r", "--force-group-allocation", "-o", whole, *objects, "--start-group", *archives, "--end-group"],
                       check=True)
        subprocess.run([objcopy, "--wildcard", "--keep-global-symbol=lb_*", whole], check=True)
        pathlib.Path(output).unlink(missing_ok=True)
        subprocess.run([ar, "rcsD", output, whole], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
