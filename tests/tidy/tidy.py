#!/usr/bin/env python3
"""tidy.py [ROOT]: the shape of the tree. Prints "file:line: rule: remedy" for each fault; exit code 1 if there is one.

The rules are those of lib/README.md (layers) and design §10 (style). Lines that begin with "warning" do not count.
"""
import pathlib
import re
import sys

from source import Source, walk

FUNCTION_LINES = 70
FILE_LINES_WARN = 500
FILE_LINES = 800
COLUMNS = 120

# What a layer may include of ours, besides itself.
LAYERS = {
    "base": {"lb.h"},
    "policy": {"base"},
    "wire": {"base"},
    "config": {"base", "wire/bpe.h", "wire/json.h", "wire/pattern.h", "wire/error_class.h", "wire/operation.h", "policy/facts.h", "policy/settings.h"},
    "engine": {"base", "policy", "wire", "config", "lb.h"},
    "net": {"base", "engine/ports.h"},
    "gateway": {"base", "wire", "config", "engine", "lb.h"},
    "abi": {"base", "wire", "config", "engine", "net", "gateway", "lb.h"},
}

# A library's header: where it may be included, and which names belong to it.
LIBRARIES = [
    (r"uv\.h|uv/.*", r"\buv_\w+", "lib/net/", "libuv stands behind net/ only; add to engine/ports.h what is missing"),
    (r"mbedtls/.*|psa/.*", r"\bmbedtls_\w+", "lib/net/tls_mbedtls.cc", "mbedTLS stands in one file; go through net/tls.h"),
    (r"(cjson/)?cJSON\.h", r"\bcJSON_\w+", "lib/wire/json.cc", "cJSON stands in one file; go through wire/json.h"),
    (r"llhttp\.h", r"\bllhttp_\w+", "lib/wire/http1.cc", "llhttp stands in one file; go through wire/http1.h"),
    (r"yaml\.h", r"\byaml_\w+_(?:t|initialize|parse|delete)\b", "lib/config/yaml.cc",
     "libyaml stands in one file; go through config/yaml.h"),
    (r"pcre2\.h", r"\b(?:pcre2|PCRE2)_\w+", "lib/wire/pattern.cc", "PCRE2 stands in one file; go through wire/pattern.h"),
]

# Names that only some folders of lib/ may use.
NAMES = [
    (r"\bsteady_clock\b|\bsystem_clock\b|\bclock_gettime\b|\bgettimeofday\b", ("lib/net/", ),
     "time is an argument; only net/ reads a clock"),
    (r"(?<![\w.>])(?:std::|::)?time\s*\(\s*(?:nullptr|NULL|0|&)", ("lib/net/", ), "time is an argument; only net/ reads a clock"),
    (r"\brandom_device\b|(?<![\w.>])(?:std::|::)?s?rand(?:om)?\s*\(", (), "randomness is seeded: base/rng.h"),
    (r"\b(?:secure_)?getenv\b|\benviron\b", ("lib/abi/secrets.cc", ), "the library reads no environment but for secrets, in abi/secrets.cc"),
    (r"\bstd::(?:thread|jthread|async)\b|\bpthread_create\b", ("lib/net/", "lib/abi/"), "threads belong to net/ and abi/"),
    (r"\bstd::(?:mutex|condition_variable|shared_mutex)\b", ("lib/net/", "lib/abi/"), "one thread runs the turns; locks belong to abi/"),
    (r"\b(?:socket|connect|bind|listen|accept4?|recv|send)\s*\((?=\s*\w*fd)", ("lib/net/", ), "sockets belong to net/"),
    (r"#\s*include\s*<(?:iostream|sstream|fstream|regex|exception|typeinfo|coroutine)>", (),
     "not used here (design §10); text by std::string and from_chars"),
    (r"(?<![\w])(?:throw|dynamic_cast|typeid|try)\b(?!\w)", (), "exceptions and RTTI are off"),
]

BANNED_WORDS = {"common", "util", "utils", "manager", "helper", "helpers", "handler", "handlers"}
# Names that others chose.
FOREIGN_WORDS = {"sa_handler", "signal_handler_t"}

CODE = {".h", ".c", ".cc", ".cpp", ".def"}
TEXT = CODE | {".py", ".md", ".build", ".yaml", ".yml", ".json", ".mjs", ".js", ".txt", ".sh", ".map", ".options", ""}


class Tidy:
    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.faults = []
        self.warnings = []

    def fault(self, path, line, rule, remedy):
        self.faults.append(f"{path}:{line}: {rule}: {remedy}")

    def warn(self, path, line, rule, remedy):
        self.warnings.append(f"warning: {path}:{line}: {rule}: {remedy}")

    # --- Layers and names ---

    def check_layer(self, source):
        layer = source.layer()
        if layer is None:
            return
        if layer not in LAYERS:
            return self.fault(source.path, 1, "layer", f"lib/{layer} is no layer; lib/README.md lists them")
        allowed = LAYERS[layer] | {layer}
        for line, file, ours in source.includes():
            if not ours:
                continue
            if file not in allowed and file.split("/")[0] not in allowed:
                self.fault(source.path, line, "layer", f"{layer}/ may not include {file}; it may use {', '.join(sorted(allowed))}")

    def check_libraries(self, source):
        if source.path.parts[0] != "lib":
            return
        where = source.path.as_posix()
        for header, names, home, remedy in LIBRARIES:
            if where.startswith(home):
                continue
            for line, file, _ in source.includes():
                if re.fullmatch(header, file):
                    self.fault(source.path, line, "library", remedy)
            self.search(source, names, "library", remedy)

    def check_names(self, source):
        if source.path.parts[0] != "lib" or source.path.suffix == ".def":
            return
        where = source.path.as_posix()
        for names, homes, remedy in NAMES:
            if not where.startswith(homes):
                self.search(source, names, "name", remedy)

    def search(self, source, pattern, rule, remedy):
        for number, line in enumerate(source.code_lines, 1):
            found = re.search(pattern, line)
            if found:
                self.fault(source.path, number, rule, f"{found.group(0).strip()}: {remedy}")

    def check_words(self, source):
        for word in re.split(r"[_.\-]", source.name):
            if word.lower() in BANNED_WORDS:
                self.fault(source.path, 1, "word", f"{word} says nothing; name the file after its main noun")
        for number, line in enumerate(source.code_lines, 1):
            if line.lstrip().startswith("#"):
                continue
            for name in re.findall(r"[A-Za-z_]\w*", line):
                parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
                banned = [part for part in parts if part.lower() in BANNED_WORDS]
                if banned and name not in FOREIGN_WORDS:
                    self.fault(source.path, number, "word", f"{name}: {banned[0]} says nothing; say what it does")

    # --- Shape ---

    def check_lengths(self, source):
        if len(source.lines) > FILE_LINES:
            self.fault(source.path, FILE_LINES + 1, "length", f"{len(source.lines)} lines; split the file by subject")
        elif len(source.lines) > FILE_LINES_WARN:
            self.warn(source.path, FILE_LINES_WARN + 1, "length", f"{len(source.lines)} lines; think of splitting the file")
        for number, line in enumerate(source.lines, 1):
            if len(line) > COLUMNS:
                self.fault(source.path, number, "columns", f"{len(line)} columns; break the line before {COLUMNS}")
        for first, last in source.functions():
            if last - first + 1 > FUNCTION_LINES:
                self.fault(source.path, first, "function", f"{last - first + 1} lines; split it by step, {FUNCTION_LINES} at most")

    def check_notes(self, source):
        for number, line in enumerate(source.lines, 1):
            found = re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line)
            if found:
                self.fault(source.path, number, "note", f"{found.group(1)}: do it now, or open an issue and leave no mark")

    def check_header(self, source):
        if source.path.suffix != ".h" or source.path.parts[0] != "lib":
            return
        if "#pragma once" not in source.lines:
            self.fault(source.path, 1, "header", "no #pragma once; write it after the opening paragraph")
        if not source.lines or not source.lines[0].startswith("// "):
            self.fault(source.path, 1, "header", "no opening paragraph; say what it is, who owns it, which thread")

    def check_built(self, source):
        """Every .c and .cc stands in a meson list, so that nothing rots unseen."""
        if source.path.suffix not in (".c", ".cc", ".cpp"):
            return
        folder = self.root / source.path.parent
        inside = source.path.name
        while True:
            if (folder / "meson.build").is_file():
                text = (folder / "meson.build").read_text(encoding="utf-8")
                if f"'{inside}'" in text or f'"{inside}"' in text or self.by_pattern(inside, text):
                    return
            if folder == self.root:
                break
            inside = f"{folder.name}/{inside}"
            folder = folder.parent
        self.fault(source.path, 1, "unbuilt", "no meson.build lists it; add it there, or remove the file")

    @staticmethod
    def by_pattern(inside, text):
        """foreach name : ['x'] ... name + '_test.cc'"""
        for ending in re.findall(r"\+\s*'([^']*\.(?:c|cc|cpp))'", text):
            if inside.endswith(ending) and re.search(rf"'{re.escape(inside[: -len(ending)])}'", text):
                return True
        return False

    def check_places(self, path):
        """Nothing of the machine that it was written on."""
        text = path.read_text(encoding="utf-8", errors="replace")
        where = path.relative_to(self.root)
        for number, line in enumerate(text.split("\n"), 1):
            if re.search(r"(?<![\w.$}/])/(?:home|Users)/\w+|(?<![\w.$}/])/root/", line):
                self.fault(where, number, "place", "a path of one person's machine; make it relative, or an argument")
            # A page for people may link there; what runs may not depend on it.
            if path.suffix != ".md" and re.search(r"\b(?:pypi\.org|files\.pythonhosted\.org|registry\.npmjs\.org|proxy\.golang\.org|static\.crates\.io)\b", line):
                self.fault(where, number, "place", "a registry's host; the package tool knows it")

    def run(self):
        for path in walk(self.root, CODE):
            source = Source(self.root, path)
            for check in (self.check_layer, self.check_libraries, self.check_names, self.check_words, self.check_lengths,
                          self.check_notes, self.check_header, self.check_built):
                check(source)
        for path in walk(self.root, TEXT):
            # These files must name what they look for.
            if path.relative_to(self.root).parts[:2] != ("tests", "tidy"):
                self.check_places(path)
        return self


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    tidy = Tidy(root).run()
    for line in tidy.faults + tidy.warnings:
        print(line)
    print(f"{len(tidy.faults)} faults, {len(tidy.warnings)} warnings")
    return 1 if tidy.faults else 0


if __name__ == "__main__":
    sys.exit(main())
