"""What upstreams send and callers read, in the dialects that scenarios are played in: acts of a script to bytes, and
the bytes of an answer to what it says."""

import json

NATIVE = ("openai-plain", "openai-stream", "anthropic-plain", "anthropic-stream")
FORMS = (*NATIVE, "translated-plain", "translated-stream")  # Callers speak Anthropic's, upstreams OpenAI's.
WORDS = ("one", " two", " three")
GOOD = "".join(WORDS)
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           408: "Request Timeout", 429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
           504: "Gateway Timeout", 529: "Overloaded"}
# Type and code of the error bodies that OpenAI and Anthropic send with these statuses.
KINDS = {400: ("invalid_request_error", "invalid_value", "invalid_request_error"),
         401: ("invalid_request_error", "invalid_api_key", "authentication_error"),
         403: ("invalid_request_error", "forbidden", "permission_error"),
         404: ("invalid_request_error", "model_not_found", "not_found_error"),
         429: ("requests", "rate_limit_exceeded", "rate_limit_error"),
         529: ("server_error", "overloaded", "overloaded_error")}


class Form:
    def __init__(self, name):
        self.name = name
        self.anthropic = name.startswith("anthropic")  # Upstreams.
        self.asks_anthropic = self.anthropic or name.startswith("translated")  # Callers.
        self.stream = name.endswith("stream")

    @property
    def path(self):
        return "/v1/messages" if self.asks_anthropic else "/v1/chat/completions"

    def request(self, model):
        return json.dumps({"model": model, "stream": self.stream, "max_tokens": 64,
                           "messages": [{"role": "user", "content": "Count to three."}]})

    def error(self, status=500, message="the scenario says so", kind=None, code=None):
        openai, openai_code, anthropic = KINDS.get(status, ("server_error", None, "api_error"))
        if self.anthropic:
            return {"type": "error", "error": {"type": kind or anthropic, "message": message}}
        return {"error": {"message": message, "type": kind or openai, "param": None, "code": code or openai_code}}

    def plain(self, text=GOOD):
        if self.anthropic:
            return json.dumps({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
                               "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
                               "stop_sequence": None, "usage": {"input_tokens": 4, "output_tokens": 3}})
        return json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "m",
                           "choices": [{"index": 0, "message": {"role": "assistant", "content": text},
                                        "finish_reason": "stop"}],
                           "usage": {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}})


def head(status, fields):
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join(lines) + "\r\n\r\n"


class Wire:
    """Compiles the acts of one script into ["send", bytes], ["wait", ms], ["end"], ["reset"] and ["stall"]."""

    def __init__(self, form):
        self.form = form
        self.out = []
        self.chunked = False
        self.exact = None   # The head that waits for its length.
        self.block = False  # Anthropic: a content block has been begun.

    def send(self, text):
        self.out.append(["send", text])

    def body(self, text):
        self.send(f"{len(text.encode()):x}\r\n{text}\r\n" if self.chunked else text)

    def answer(self, status, fields=(), body="", kind="application/json", behind=""):
        named = {name.lower() for name, _ in fields}
        fields = [*fields]
        if "content-type" not in named:
            fields.append(("content-type", kind))
        if "content-length" not in named:
            fields.append(("content-length", len(body.encode())))
        self.send(head(status, fields) + body + behind)

    # --- Streams ---

    def event(self, name, data):
        text = data if isinstance(data, str) else json.dumps(data)
        self.body((f"event: {name}\n" if name else "") + f"data: {text}\n\n")

    def chunk(self, delta, finish=None):
        self.event("", {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m",
                        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def typed(self, kind, **members):
        self.event(kind, {"type": kind, **members})

    def open(self, *fields):
        """Chunked, unless the fields delimit it otherwise."""
        if not any(name in ("content-length", "connection") for name, _ in fields):
            self.chunked = True
            fields = (("transfer-encoding", "chunked"), *fields)
        self.send(head(200, [("content-type", "text/event-stream"), *fields]))

    def open_exact(self):
        """With the length of all that the script sends besides."""
        self.exact = len(self.out)
        self.send("")

    def finished(self):
        """The script, once all of its acts have been compiled."""
        if self.exact is not None:
            length = sum(len(act[1].encode()) for act in self.out if act[0] == "send")
            self.out[self.exact][1] = head(200, [("content-type", "text/event-stream"), ("content-length", length)])
        return self.out

    def role(self):
        if not self.form.anthropic:
            return self.chunk({"role": "assistant", "content": ""})
        self.typed("message_start", message={
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
            "stop_sequence": None, "usage": {"input_tokens": 4, "output_tokens": 1}})

    def text(self, text):
        if not self.form.anthropic:
            return self.chunk({"content": text})
        if not self.block:
            self.block = True
            self.typed("content_block_start", index=0, content_block={"type": "text", "text": ""})
        self.typed("content_block_delta", index=0, delta={"type": "text_delta", "text": text})

    def reasoning(self, text):
        if not self.form.anthropic:
            return self.chunk({"reasoning_content": text})
        if not self.block:
            self.block = True
            self.typed("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""})
        self.typed("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": text})

    def finish(self):
        if not self.form.anthropic:
            return self.chunk({}, "stop")
        if self.block:
            self.typed("content_block_stop", index=0)
        self.typed("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None},
                   usage={"output_tokens": 3})

    def done(self):
        self.typed("message_stop") if self.form.anthropic else self.event("", "[DONE]")

    def last(self):
        self.send("0\r\n\r\n")

    def ping(self):
        self.typed("ping") if self.form.anthropic else self.body(": ping\n\n")

    def error(self, kind):
        error = self.form.error(kind=kind, code=kind)
        self.event("error" if self.form.anthropic else "", error)

    def malformed(self):
        if self.form.anthropic:
            return self.event("content_block_delta", '{"type": "content_block_delta", "index": 0, "delta": {"ty')
        self.event("", '{"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{"index": 0, "del')

    def good_stream(self):
        self.open()
        self.role()
        for word in WORDS:
            self.text(word)
        self.finish()
        self.done()
        self.last()

    def good(self):
        self.good_stream() if self.form.stream else self.answer(200, body=self.form.plain())

    def many(self, count, size):
        """That many events of content, `size` characters each."""
        for _ in range(count):
            self.text("x" * size)

    # --- One act of a script: its word, the rest of its line, and the lines below it ---

    def act(self, word, rest, below):
        bodies = [line for line in below if line.startswith(("{", "<", "["))]
        fields = [tuple(part.strip() for part in line.split(":", 1)) for line in below if line not in bodies]
        if rest and ":" in rest and (word.isdigit() or word in ("head", "open", "html")):
            fields.insert(0, tuple(part.strip() for part in rest.split(":", 1)))
        if word.isdigit():
            body = bodies[0] if bodies else json.dumps(self.form.error(int(word)))
            return self.answer(int(word), fields, body)
        if word == "html":
            return self.answer(int(rest.split()[0]), kind="text/html",
                               body="<html><body><h1>Something is wrong</h1></body></html>")
        if word == "head":
            return self.send(head(200, fields))
        if word == "open":
            return self.open_exact() if rest == "exact" else self.open(*fields)
        if word in ("text", "reasoning", "error"):
            return getattr(self, word)(json.loads(rest) if rest.startswith('"') else rest)
        if word in ("raw", "body"):
            text = json.loads(rest)
            return self.send(text) if word == "raw" else self.body(text)
        if word == "half":
            body = self.form.plain()
            return self.send(head(200, [("content-type", "application/json"), ("content-length", len(body))]) +
                             body[:len(body) // 2])
        if word == "longer":
            return self.answer(200, body=self.form.plain(), behind=json.loads(rest))
        if word == "json":
            return self.answer(200, body=rest)
        if word == "empty":
            return self.answer(200)
        if word == "many":
            return self.many(*map(int, rest.split()))
        if word == "wait":
            return self.out.append(["wait", int(rest)])
        if word in ("end", "reset", "stall"):
            return self.out.append([word])
        if word in ("good", "role", "finish", "done", "last", "ping", "malformed"):
            return getattr(self, word)()
        raise ValueError(f"no act is called {word!r}")


def events_of(text):
    """(name, data) of each event; comments are none."""
    for block in text.replace("\r\n", "\n").split("\n\n"):
        name, data = "", []
        for line in block.splitlines():
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            if field == "data":
                data.append(value)
        if data:
            yield name, "\n".join(data)


class Reading:
    """What a caller makes of a body. It is read where the upstreams are played, who must not wait for it: the time that
    it takes is in proportion to the size."""

    def __init__(self, body, form, kind):
        self.text = ""
        self.terminated = False   # By [DONE] or message_stop.
        self.finished = False     # There was a reason to stop.
        self.malformed = 0
        self.errors = []          # Error objects.
        self.error_last = False   # Nothing came behind one.
        self.stream = "text/event-stream" in kind
        if self.stream:
            self.text = "".join(piece for name, data in events_of(body) for piece in self.event(name, data))
        elif body:
            self.document(body, form)

    def event(self, name, data):
        """Yields its pieces of the text."""
        self.error_last = False
        if data.strip() == "[DONE]":
            self.terminated = True
            return
        try:
            value = json.loads(data)
        except ValueError:
            self.malformed += 1
            return
        if name == "error" or value.get("error"):
            self.errors.append(value)
            self.error_last = True
        for choice in value.get("choices", []):
            yield choice.get("delta", {}).get("content") or ""
            self.finished = self.finished or bool(choice.get("finish_reason"))
        if value.get("type") == "content_block_delta":
            yield value["delta"].get("text", "")
        if value.get("type") == "message_delta":
            self.finished = self.finished or bool(value["delta"].get("stop_reason"))
        self.terminated = self.terminated or value.get("type") == "message_stop"

    def document(self, body, form):
        try:
            value = json.loads(body)
        except ValueError:
            self.malformed += 1
            return
        if isinstance(value, dict) and value.get("error"):
            self.errors.append(value)
        try:
            if form.asks_anthropic:
                self.text = "".join(block.get("text", "") for block in value["content"])
                self.finished = bool(value["stop_reason"])
            else:
                self.text = value["choices"][0]["message"]["content"]
                self.finished = bool(value["choices"][0]["finish_reason"])
            self.terminated = True  # By its last brace.
        except (KeyError, IndexError, TypeError):
            pass
