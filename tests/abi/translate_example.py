#!/usr/bin/env python3
"""translate_example.py PROGRAM: examples/c/translate.c as a shell uses it."""
import json
import subprocess
import sys

BEGIN = 'data: {"id":"c1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello."}}]}\n\n'
END = ('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
       'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\ndata: [DONE]\n\n')


def run(text, *words):
    done = subprocess.run([sys.argv[1], *words], input=text, capture_output=True, text=True, timeout=60)
    return done.returncode, [json.loads(l[6:])["type"] for l in done.stdout.splitlines() if l.startswith("data: ")], done.stderr


begun = ["message_start", "content_block_start", "content_block_delta"]
code, events, said = run(BEGIN + END, "openai", "anthropic")
assert (code, events[:3], events[-1]) == (0, begun, "message_stop") and "OK, 3 tokens in, 4 out" in said, (code, events, said)
code, events, said = run(BEGIN, "openai", "anthropic")
assert (code, events) == (1, begun) and said.startswith("BROKEN"), (code, events, said)
assert run("", "openai", "klingon")[0] == 2 and run("", "openai")[0] == 2
