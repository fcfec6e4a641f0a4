"""A C or C++ file as tidy.py looks at it: lines, the same without comments and texts, and where its functions are."""
import pathlib
import re

# One alternative each: comments, raw strings, strings, characters. Digit separators are not characters: 1'000.
_SKIP = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<mark>[^()\\ ]{0,16})\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'""",
    re.S)
_MEMBER_INIT = re.compile(r"\)\s*(?:noexcept\s*)?:(?!:).*\w$", re.S)
_NO_FUNCTION = re.compile(r"\b(namespace|class|struct|enum|union)\b[^()]*$|=\s*$|\bextern\s*$")


def _blank(match):
    """White space of the same shape, so that lines and columns stay."""
    text = match.group(0)
    kept = re.sub(r"[^\n]", " ", text)
    return '"' + kept[2:] + '"' if text.startswith('"') and len(text) >= 2 else kept


class Source:
    def __init__(self, root, path):
        self.path = path.relative_to(root)
        self.text = path.read_text(encoding="utf-8", errors="replace")
        self.lines = self.text.split("\n")
        if self.lines and self.lines[-1] == "":
            self.lines.pop()
        self.code = _SKIP.sub(_blank, self.text)
        self.code_lines = self.code.split("\n")

    @property
    def name(self):
        return self.path.name

    def layer(self):
        """The folder under lib/, or None."""
        parts = self.path.parts
        return parts[1] if len(parts) > 2 and parts[0] == "lib" else None

    def includes(self):
        """(line, file, is it ours)"""
        for number, line in enumerate(self.lines, 1):
            found = re.match(r'\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', line)
            if found:
                yield number, found.group(1) or found.group(2), bool(found.group(1))

    def functions(self):
        """(first line, last line) of each function body with its signature; a lambda counts where it stands."""
        code = re.sub(r"(?m)^[ \t]*#(?:.*\\\n)*.*$", lambda found: re.sub(r"[^\n]", " ", found.group(0)), self.code)
        stack = []
        begin = 0
        for at, char in enumerate(code):
            if char == "{":
                before = code[begin:at]
                inside = any(stack)
                if not inside and _MEMBER_INIT.search(before):
                    stack.append("")  # Braces around a member's first value: the body is still to come.
                    continue
                is_function = not inside and ")" in before and not _NO_FUNCTION.search(before)
                stack.append((begin + len(before) - len(before.lstrip()), ) if is_function else None)
                begin = at + 1
            elif char == "}":
                start = stack.pop() if stack else None
                if start == "":
                    continue
                if start:
                    yield code.count("\n", 0, start[0]) + 1, code.count("\n", 0, at) + 1
                begin = at + 1
            elif char == ";" and not any(stack):
                begin = at + 1


def walk(root, suffixes):
    """Files with one of the suffixes, in order; nothing that was built or fetched."""
    root = pathlib.Path(root)
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if any(part.startswith(("build", ".git")) or part in ("node_modules", "__pycache__", ".venv") for part in parts[:-1]):
            continue
        if parts[0] == "subprojects" and len(parts) > 2:
            continue
        if path.is_file() and not path.is_symlink() and path.suffix in suffixes:
            yield path
