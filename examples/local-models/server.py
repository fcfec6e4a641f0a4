"""One instance of llama.cpp's own HTTP server, as the package xllamacpp ships it: server.py MODEL_FILE.

Prints "listening on http://127.0.0.1:PORT" and serves until it is killed.
"""

import signal
import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.model_alias = {"gemma-3-270m"}
params.hostnames = ["127.0.0.1"]
params.port = 0
params.n_ctx = 2048
params.n_parallel = 2  # Answers at a time.
params.cpuparams.n_threads = 1
# The model was trained to continue text, not to chat: the messages are the text it continues.
params.use_jinja = True
params.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"

server = xllamacpp.Server(params)
print(f"listening on {server.listening_address}", flush=True)
signal.pause()
