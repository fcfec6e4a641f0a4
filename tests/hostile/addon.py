#!/usr/bin/env python3
"""addon.py ADDON INCLUDE LIBRARY WORK VERSION: lb within Node, which exports a libuv of its own. It must call the one it was
built with, VERSION; the loader's own account of who was bound to whom must say the same."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

SKIPPED = 77  # As meson counts it.
SCRIPT = """
const lb = require(process.argv[1]);
const status = lb.call();
console.log(JSON.stringify({lb: JSON.parse(lb.buildInfo()).libuv, node: process.versions.uv, status}));
"""


def skip(why):
    print(f"SKIPPED: {why}")
    return SKIPPED


def headers(node):
    """The folder of node_api.h: beside Node's binary, or where Debian's libnode-dev has it."""
    for folder in (pathlib.Path(node).resolve().parents[1] / "include/node", pathlib.Path("/usr/include/node")):
        if (folder / "node_api.h").exists():
            return folder
    return None


def main():
    source, ours, library, work = (pathlib.Path(argument) for argument in sys.argv[1:5])
    node = shutil.which("node")
    if not node:
        return skip("there is no node here (package nodejs)")
    include = headers(node)
    if not include:
        return skip("Node's headers are not here (package libnode-dev)")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, "-shared", "-fPIC", "-DNODE_GYP_MODULE_NAME=lb", "-I", include, "-I", ours, source,
                    "-o", work / "lb.node", library, f"-Wl,-rpath,{library.parent}"],
                   check=True)
    done = subprocess.run([node, "-e", SCRIPT, work / "lb.node"], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": str(work / "bindings")})
    print(done.stdout, done.stderr)
    said = json.loads(done.stdout)
    bound = "".join(path.read_text(errors="replace") for path in work.glob("bindings.*"))
    of_lb = re.findall(r"binding file (\S*liblb\.so\S*) \[0\] to (\S+) \[0\]: \w+ symbol `(\w+)'", bound)
    assert of_lb, "the loader said nothing of liblb.so"
    foreign = {name for _, _, name in of_lb if re.match(r"(uv|llhttp|mbedtls|yaml|pcre2)_", name)}
    print(f"libuv {said['lb']} within Node's {said['node']}; {len(of_lb)} bindings, of these libraries: {foreign or 'none'}")
    return 0 if said["lb"] == sys.argv[5] and said["status"] == 0 and not foreign else 1


if __name__ == "__main__":
    sys.exit(main())
