#!/usr/bin/env python3
"""consumer.py subproject|installed SOURCE BUILD: builds tests/abi/consumer against lb, and runs it.

subproject  lb is a meson subproject of it (a link to SOURCE in a new folder)
installed   BUILD is installed to a new prefix and found by pkg-config; by meson, and by a plain compiler line
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def run(*command, **options):
    result = subprocess.run([str(part) for part in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            **options)
    if result.returncode != 0:
        print("failed:", " ".join(map(str, command)))
        print(result.stdout[-6000:])
        sys.exit(1)
    return result.stdout


def build(folder, environment, *options):
    run("meson", "setup", folder / "build", folder, *options, env=environment)
    run("meson", "compile", "-C", folder / "build", env=environment)


def ask(program, environment):
    answer = run(program, env=environment, timeout=60)
    assert answer == "200\n", answer


def subproject(source, folder):
    (folder / "subprojects").mkdir()
    (folder / "subprojects/lb").symlink_to(source)
    # No optimisation: what is tested is the wiring, and this builds all of lb.
    build(folder, os.environ, "-Dbuildtype=plain", "-Dwerror=false", "--wrap-mode=nodownload")
    ask(folder / "build/consumer", os.environ)
    # Tests and programs of lb are not built for those who only use it.
    assert not list((folder / "build").rglob("*_test")), "tests were built in a subproject"


def installed(build_folder, folder):
    prefix = folder / "prefix"
    run("meson", "install", "-C", build_folder, "--no-rebuild", "--destdir", folder / "stage")
    found = next((folder / "stage").rglob("lb.pc"))
    # Staged below another root: move it to the prefix and say so in the .pc, as packagers' tools do.
    old = next(line for line in found.read_text().splitlines() if line.startswith("prefix="))[len("prefix="):]
    shutil.move(str(folder / "stage" / old.lstrip("/")), prefix)
    pc = next(prefix.rglob("lb.pc"))
    pc.write_text(pc.read_text().replace("prefix=" + old, f"prefix={prefix}", 1))
    library = next(prefix.rglob("liblb.so*")).parent
    headers = [path.name for path in (prefix / "include").rglob("*") if path.is_file()]
    assert headers == ["lb.h"], headers
    environment = dict(os.environ, PKG_CONFIG_PATH=str(pc.parent), LD_LIBRARY_PATH=str(library))
    build(folder, environment, "-Dwerror=true", "--wrap-mode=nofallback")
    ask(folder / "build/consumer", environment)
    flags = run("pkg-config", "--cflags", "--libs", "lb", env=environment).split()
    assert flags == [f"-I{prefix}/include", f"-L{library}", "-llb"], flags
    run(os.environ.get("CC", "cc"), folder / "consumer.c", "-o", folder / "plain", *flags, env=environment)
    ask(folder / "plain", environment)


def main():
    kind, source, build_folder = sys.argv[1:4]
    with tempfile.TemporaryDirectory(prefix="lb-consumer-") as temporary:
        folder = pathlib.Path(temporary)
        for file in (pathlib.Path(source) / "tests/abi/consumer").iterdir():
            shutil.copy(file, folder)
        if kind == "subproject":
            subproject(pathlib.Path(source), folder)
        else:
            installed(build_folder, folder)


if __name__ == "__main__":
    main()
