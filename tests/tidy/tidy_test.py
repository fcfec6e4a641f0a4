#!/usr/bin/env python3
"""Plants one violation of each rule in a small tree and sees that tidy.py finds it, where it is, and nothing else."""
import pathlib
import tempfile
import unittest

from source import Source
from tidy import COLUMNS, FILE_LINES, FUNCTION_LINES, Tidy

CLEAN = {
    "include/lb.h": "int lb_abi(void);\n",
    "lib/base/text.h": "// Text.\n#pragma once\n",
    "lib/policy/pick.h": "// Picks.\n#pragma once\n#include <vector>\n\n#include \"base/text.h\"\n",
    "lib/policy/pick.cc": "#include \"policy/pick.h\"\n\nint pick(int a) {\n  // time(nullptr), uv_run, cJSON_Parse\n"
                          "  const char* text = \"getenv std::thread throw\";\n  return text ? 1'000 : a;\n}\n",
    "lib/policy/meson.build": "policy = static_library('lb_policy', 'pick.cc')\n",
    "lib/net/loop.cc": "#include <uv.h>\n\n#include \"engine/ports.h\"\nlong now() { return uv_hrtime(); }\n",
    "lib/net/meson.build": "net = static_library('lb_net', 'loop.cc')\n",
    "tests/policy/pick_test.cc": "#include \"policy/pick.h\"\nint main() { return 0; }\n",
    "tests/policy/meson.build": "foreach name : ['pick']\n  executable(name, name + '_test.cc')\nendforeach\n",
}


def body(lines):
    return "int f() {\n" + "  g();\n" * (lines - 2) + "}\n"


# What is planted: path, text (added to what is there), line, rule.
PLANTED = [
    ("lib/policy/pick.cc", "#include \"engine/engine.h\"\n", 8, "layer"),
    ("lib/net/loop.cc", "#include \"engine/engine.h\"\n", 5, "layer"),
    ("lib/base/text.h", "#include \"wire/json.h\"\n", 3, "layer"),
    ("lib/other/x.h", "// X.\n#pragma once\n", 1, "layer"),
    ("lib/policy/pick.cc", "#include <uv.h>\n", 8, "library"),
    ("lib/policy/pick.cc", "void f() { uv_run(); }\n", 8, "library"),
    ("lib/net/loop.cc", "#include <mbedtls/ssl.h>\n", 5, "library"),
    ("lib/net/loop.cc", "int g = mbedtls_ssl_setup();\n", 5, "library"),
    ("lib/policy/pick.cc", "void* p = cJSON_Parse(0);\n", 8, "library"),
    ("lib/policy/pick.cc", "void f() { llhttp_init(0); }\n", 8, "library"),
    ("lib/policy/pick.cc", "#include <pcre2.h>\n", 8, "library"),
    ("lib/policy/pick.cc", "void f() { pcre2_code_free(0); }\n", 8, "library"),
    ("lib/policy/pick.cc", "auto t = std::chrono::steady_clock::now();\n", 8, "name"),
    ("lib/policy/pick.cc", "auto t = std::chrono::system_clock::now();\n", 8, "name"),
    ("lib/policy/pick.cc", "long t = time(nullptr);\n", 8, "name"),
    ("lib/policy/pick.cc", "int r = rand();\n", 8, "name"),
    ("lib/policy/pick.cc", "char* e = getenv(\"HOME\");\n", 8, "name"),
    ("lib/policy/pick.cc", "std::thread worker;\n", 8, "name"),
    ("lib/policy/pick.cc", "std::mutex lock;\n", 8, "name"),
    ("lib/policy/pick.cc", "void f() { throw 1; }\n", 8, "name"),
    ("lib/policy/pick.cc", "#include <iostream>\n", 8, "name"),
    ("lib/policy/utils.h", "// Utils.\n#pragma once\n", 1, "word"),
    ("lib/policy/pick.cc", "int pick_helper = 1;\n", 8, "word"),
    ("lib/policy/pick.cc", "class PickManager;\n", 8, "word"),
    ("lib/policy/pick.cc", "// " + "x" * (COLUMNS - 2) + "\n", 8, "columns"),
    ("lib/policy/pick.cc", body(FUNCTION_LINES + 1), 8, "function"),
    ("lib/policy/pick.cc", "namespace a {\nstruct B {\n  int f() const {\n" + "    g();\n" * FUNCTION_LINES + "  }\n};\n}\n",
     10, "function"),
    ("lib/policy/pick.cc", "// x\n" * FILE_LINES, FILE_LINES + 1, "length"),
    ("lib/policy/pick.cc", "// TODO later\n", 8, "note"),
    ("lib/policy/pick.cc", "/* FIXME */\n", 8, "note"),
    ("lib/policy/new.h", "#pragma once\n", 1, "header"),
    ("lib/policy/new.h", "// New.\n", 1, "header"),
    ("lib/policy/lost.cc", "// Lost.\n", 1, "unbuilt"),
    ("tests/policy/lost_test.cc", "// Lost.\n", 1, "unbuilt"),
    ("tests/run", "cd /ho" + "me/someone/lb\n", 1, "place"),
    ("tests/x.py", "URL = 'https://py" + "pi.org/simple'\n", 1, "place"),
]


class TidyTest(unittest.TestCase):
    def faults(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = pathlib.Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return Tidy(folder).run()

    def test_clean(self):
        self.assertEqual(self.faults(CLEAN).faults, [])

    def test_planted(self):
        for path, text, line, rule in PLANTED:
            with self.subTest(rule=rule, text=text[:40]):
                files = dict(CLEAN)
                files[path] = files.get(path, "") + text
                found = self.faults(files).faults
                self.assertEqual(len(found), 1, found)
                self.assertTrue(found[0].startswith(f"{path}:{line}: {rule}: "), found[0])

    def test_at_the_bounds(self):
        files = dict(CLEAN)
        files["lib/policy/pick.cc"] += "// " + "x" * (COLUMNS - 3) + "\n" + body(FUNCTION_LINES)
        self.assertEqual(self.faults(files).faults, [])
        files["lib/policy/pick.cc"] += "// x\n" * (FILE_LINES - files["lib/policy/pick.cc"].count("\n"))
        tidy = self.faults(files)
        self.assertEqual((tidy.faults, len(tidy.warnings)), ([], 1))

    def test_functions(self):
        text = ("namespace a {\nint x = 1;\nstruct S {\n  S() : a_{1}, b_(2) {\n    f();\n  }\n  int a_;\n};\n"
                "const T kTable[] = {\n  {1, 2},\n};\nvoid g(int a,\n       int b) {\n  auto l = [] {\n    h();\n  };\n}\n"
                "#define M(x) \\\n  do { \\\n  } while (0)\n}\n")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "x.cc"
            path.write_text(text, encoding="utf-8")
            self.assertEqual(list(Source(pathlib.Path(folder), path).functions()), [(4, 6), (12, 17)])


if __name__ == "__main__":
    unittest.main()
