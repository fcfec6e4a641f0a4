"""Scenarios as they are written (README.md has the grammar), and the instances of them that are played: one for each
form, with a model of its own name."""

import copy
import json
import pathlib
import re

from wire import FORMS, NATIVE, Form, Wire

# Long enough for whatever is meant to come on a busy machine under sanitizers; scenarios about silence have shorter ones.
TIMEOUTS = {"connect_ms": 20000, "head_ms": 20000, "content_ms": 20000, "idle_ms": 20000}
KINDS = {"plain": ("openai-plain", "anthropic-plain"), "stream": ("openai-stream", "anthropic-stream"),
         "openai": ("openai-plain", "openai-stream"), "anthropic": ("anthropic-plain", "anthropic-stream"),
         "translated": ("translated-plain", "translated-stream"), "all": NATIVE, **{form: (form,) for form in FORMS}}
SCRIPT = re.compile(r"([a-c])(?: (\d+)(-(\d+))?)?:(?= |$)(.*)")
PLACES = ("sim", "sockets", "gateway")


class Fault(Exception):
    pass


class Upstream:
    def __init__(self, name):
        self.name = name
        self.meets = "ok"
        self.dns = ["ok"]
        self.scripts = []  # (first, last, acts); last 0: all further ones.
        self.settings = {}

    @property
    def named(self):
        return self.dns != ["ok"]

    @property
    def tls(self):
        return self.meets.startswith("tls:")

    def script(self, number):
        for first, last, acts in self.scripts:
            if number >= first and (last == 0 or number <= last):
                return acts
        return None


class Step:
    def __init__(self, kind, at_ms=-1, line=0):
        self.kind = kind
        self.at_ms = at_ms
        self.line = line
        self.name = ""          # An upstream.
        self.ms = 0
        self.call = 0           # Its number.
        self.leave_ms = -1
        self.leave_text = ""
        self.pause_ms = 0
        self.expected = []      # Of each call.
        self.without = ""


class Instance:
    """One scenario in one form."""

    def __init__(self, scenario, form):
        self.scenario = scenario
        self.form = Form(form)
        self.name = f"{scenario.name}.{form}"
        self.title = scenario.title
        self.upstreams = {}
        self.tiers = [["a"], ["b"]]
        self.larger = ""        # Upstream that serves the larger model.
        self.route = {"retries": 2, "deadline_ms": 20000}
        self.top = {}
        self.steps = []
        self.expected = []      # Of upstreams: (name, words).
        self.not_in = {}        # Place: reason.
        self.tuned = False      # It depends on settings that only lb's configuration has.
        self.calls = 0

    @property
    def alone(self):
        """It needs a gateway of its own."""
        kinds = {step.kind for step in self.steps}
        return bool(self.top or kinds & {"reload", "drain"} or any(u.named for u in self.upstreams.values()))

    @property
    def controls(self):
        """It needs a hand on the process of the gateway, or on its name server."""
        kinds = {step.kind for step in self.steps}
        return bool(kinds & {"reload", "drain"} or any(u.named for u in self.upstreams.values()))

    @property
    def drains(self):
        return any(step.kind == "drain" for step in self.steps)

    def upstream(self, name):
        return self.upstreams.setdefault(name, Upstream(name))


class Scenario:
    def __init__(self, name, title, path, line):
        self.name, self.title, self.path, self.line = name, title, path, line
        self.lines = []   # (number, indent, text)
        self.forms = ("openai-plain", "openai-stream")

    def instances(self):
        return [Reader(self, form).instance for form in self.forms]


def in_order(steps):
    """Steps that name their time stand by it, between those that wait for what is before them."""
    out, timed = [], []
    for step in steps:
        if step.at_ms >= 0:
            timed.append(step)
            continue
        out += sorted(timed, key=lambda step: step.at_ms) + [step]
        timed = []
    return out + sorted(timed, key=lambda step: step.at_ms)


def split_words(text, mark=","):
    """At marks that stand outside of JSON strings."""
    parts = re.findall(rf'(?:"(?:\\.|[^"\\])*"|[^"{mark}]|")+', text)
    return [part.strip() for part in parts if part.strip()]


class Reader:
    """Reads the lines of a scenario as they stand for one form."""

    def __init__(self, scenario, form):
        self.scenario = scenario
        self.instance = Instance(scenario, form)
        lines = list(self.chosen(scenario.lines))
        index = 0
        while index < len(lines):
            number, indent, text = lines[index]
            below = []
            index += 1
            while index < len(lines) and lines[index][1] > indent:
                below.append(lines[index][1:])
                index += 1
            try:
                self.line(number, text, below)
            except (ValueError, KeyError, IndexError) as error:
                raise Fault(f"{scenario.path}:{number}: {error}") from error
        for tier in self.instance.tiers:
            for name in tier:
                self.instance.upstream(name)
        self.instance.steps = in_order(self.instance.steps)
        for upstream in self.instance.upstreams.values():
            if not any(last == 0 for _, last, _ in upstream.scripts):
                self.script(SCRIPT.match(f"{upstream.name}: good"), [])

    def chosen(self, lines):
        """Without their marks; and without those, with what stands below them, whose mark names other forms."""
        left_out = None
        for number, indent, text in lines:
            if left_out is not None and indent > left_out:
                continue
            left_out = None
            marked = re.match(r"\[([\w-]+)\] *(.*)", text)
            if marked and self.instance.form.name not in KINDS[marked[1]]:
                left_out = indent
                continue
            yield number, indent, marked[2] if marked else text

    def line(self, number, text, below):
        instance = self.instance
        at_ms = -1
        timed = re.match(r"at (\d+) (.*)", text)
        if timed:
            at_ms, text = int(timed[1]), timed[2]
        word, _, rest = text.partition(" ")
        script = SCRIPT.match(text)
        if script:
            return self.script(script, below)
        if word == "call" or text == "call":
            return self.call(number, at_ms, rest, below)
        if word == "patience":
            name, ms = rest.split(": ")
            return instance.upstream(name).settings.update(dict.fromkeys(TIMEOUTS, int(ms)))
        if word == "set":
            return self.setting(*rest.split(": ", 1))
        if word == "tiers:":
            instance.tiers = [tier.split() for tier in rest.split("|")]
        elif word == "larger:":
            instance.larger = rest
            instance.upstream(rest)
        elif word in ("connect", "tls"):
            name, meets = rest.split(": ")
            instance.upstream(name).meets = ("tls:" if word == "tls" else "") + meets
        elif word == "dns":
            name, answers = rest.split(": ")
            instance.upstream(name).dns = split_words(answers)
        elif word == "not":
            place, reason = rest.removeprefix("in ").split(": ", 1)
            instance.not_in[place] = reason
        elif word == "expect":
            for part in split_words(rest):
                name, _, words = part.partition(" ")
                instance.expected.append((name, words))
        else:
            self.step(number, at_ms, word, rest)

    def step(self, number, at_ms, word, rest):
        if word not in ("stop", "start", "wait", "reload", "drain"):
            raise ValueError(f"no line begins with {word!r}")
        step = Step(word, at_ms, number)
        if word in ("stop", "start"):
            step.name = rest
        elif word == "reload":
            step.without = rest.removeprefix("without ").strip()
        else:
            step.ms = int(rest)
        self.instance.steps.append(step)

    def setting(self, key, value):
        self.instance.tuned = True
        where, _, name = key.rpartition(".")
        value = json.loads(value)
        if where == "route":
            self.instance.route[name] = value
        elif where == "":
            for upstream in "ab":
                self.instance.upstream(upstream).settings[name] = value
        elif where in ("a", "b", "c"):
            self.instance.upstream(where).settings[name] = value
        else:
            self.instance.top.setdefault(where, {})[name] = value

    def script(self, found, below):
        first = int(found[2] or 1)
        last = int(found[4] or found[2]) if found[2] else 0
        wire = Wire(self.instance.form)
        acts = [[text, []] for text in split_words(found[5], ";")]
        indents = [indent for indent, _ in below]
        for indent, text in below:
            if indent > min(indents):
                acts[-1][1].append(text)
            else:
                acts.append([text, []])
        for text, fields in acts:
            word, _, rest = text.partition(" ")
            wire.act(word, rest, fields)
        self.instance.upstream(found[1]).scripts.append((first, last, wire.finished()))

    def call(self, number, at_ms, rest, below):
        step = Step("call", at_ms, number)
        how, _, expected = rest.partition("= ") if not rest.startswith("= ") else ("", "", rest[2:])
        step.expected = split_words(expected) + [part for _, text in below for part in split_words(text)]
        times, every_ms = 1, 0
        for part in re.findall(r'(\w+) ("[^"]*"|\S+)', how):
            if part[0] == "leaves" and part[1].startswith('"'):
                step.leave_text = part[1][1:-1]
            elif part[0] == "leaves":
                step.leave_ms = int(part[1])
            elif part[0] == "pauses":
                step.pause_ms = int(part[1])
            elif part[0] == "times":
                times = int(part[1])
            elif part[0] == "every":
                every_ms = int(part[1])
            else:
                raise ValueError(f"a call does not know {part[0]!r}")
        if not step.expected:
            raise ValueError("the call expects nothing")
        for index in range(times):
            each = copy.copy(step)
            each.call = self.instance.calls
            each.at_ms = at_ms + index * every_ms if at_ms >= 0 else -1
            self.instance.calls += 1
            self.instance.steps.append(each)


def read_scenarios(paths):
    scenarios = []
    for path in map(pathlib.Path, paths):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            text = line.strip()
            if not text or text.startswith("#") and not text.startswith("## "):
                continue
            if text.startswith("## "):
                name, title = text[3:].split(": ", 1)
                scenarios.append(Scenario(name, title, path.name, number))
            elif text.startswith("forms:"):
                names = text.removeprefix("forms:").split()
                scenarios[-1].forms = tuple(form for form in FORMS if any(form in KINDS[name] for name in names))
            else:
                scenarios[-1].lines.append((number, len(line) - len(line.lstrip()), text))
    names = [scenario.name for scenario in scenarios]
    if len(set(names)) < len(names):
        raise Fault(f"two scenarios have one name: {max(names, key=names.count)}")
    return scenarios
