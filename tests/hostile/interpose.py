#!/usr/bin/env python3
"""interpose.py PROGRAM INCLUDE LIBRARY NEEDS WORK NAMED...: a program that exports a function of every name that the
libraries within lb have (as NAMED, archives and shared objects, list them), each of which ends it, is linked to LIBRARY
and to NEEDS, flags in one argument, and must not notice; an archive may show nothing but lb_*. That such functions are
called where a library leaves room for it is shown by one that does."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

OURS = re.compile(r"^(uv_|llhttp_|mbedtls_|psa_|yaml_|_?pcre2_)\w+$")
TAKEN = 77  # What a captured call exits with.

LEAKY = """
const char *uv_version_string(void) { return "own"; }
const char *leaky(void) { return uv_version_string(); }
"""
ASKS = """
const char *leaky(void);
int main(void) { leaky(); return 0; }
"""


def names_in(files):
    found = set()
    for file in files:
        dynamic = ["-D"] if ".so" in pathlib.Path(file).name else []
        listed = subprocess.run(["nm", *dynamic, "--defined-only", "--extern-only", file], capture_output=True, text=True,
                                check=True).stdout
        names = {line.split()[-1].split("@")[0] for line in listed.splitlines() if line and not line.endswith(":")}
        ours = {name for name in names if OURS.match(name)}
        assert ours, f"{file} has none of the names"
        found |= ours
    return sorted(found)


def program(compiler, work, name, *sources):
    subprocess.run([*compiler, "-rdynamic", "-o", work / name, *sources], check=True)
    return work / name


def main():
    needs = sys.argv.pop(4).split()
    source, include, library, work = (pathlib.Path(argument) for argument in sys.argv[1:5])
    compiler = os.environ.get("CC", "cc").split()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    names = names_in(sys.argv[5:])
    assert len(names) > 1000 and {"uv_version_string", "llhttp_execute", "mbedtls_ssl_handshake",
                                  "yaml_parser_parse", "pcre2_compile_8"} <= set(names), len(names)
    body = "".join(f'void {name}(void) {{ taken("{name}"); }}\n' for name in names)
    (work / "names.c").write_text("#include <stdio.h>\n#include <unistd.h>\nstatic void taken(const char *name) "
                                  f'{{ printf("the host\'s %s was called\\n", name); fflush(stdout); _exit({TAKEN}); }}\n' + body)
    (work / "leaky.c").write_text(LEAKY)
    (work / "asks.c").write_text(ASKS)

    subprocess.run([*compiler, "-shared", "-fPIC", "-o", work / "libleaky.so", work / "leaky.c"], check=True)
    asks = program(compiler, work, "asks", work / "asks.c", work / "names.c", work / "libleaky.so", f"-Wl,-rpath,{work}")
    leaks = subprocess.run([asks], capture_output=True, timeout=60, check=False).returncode
    assert leaks == TAKEN, f"nothing was captured where it should be: {leaks}"

    if library.suffix == ".a":
        shown = subprocess.run(["nm", "--defined-only", "--extern-only", "--just-symbols", library], capture_output=True,
                               text=True, check=True).stdout.split()[1:]  # Behind the name of the object.
        foreign = [name for name in shown if not name.startswith("lb_")]
        assert shown and not foreign, foreign
    host = program(compiler, work, "host", source, work / "names.c", "-I", include, library, f"-Wl,-rpath,{library.parent}",
                   *needs)
    done = subprocess.run([host], capture_output=True, text=True, timeout=60, check=False)
    print(f"{len(names)} names; exit {done.returncode}; {done.stdout}{done.stderr}")
    return 0 if done.returncode == 0 and done.stdout.startswith("own ") else 1


if __name__ == "__main__":
    sys.exit(main())
