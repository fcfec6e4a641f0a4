"""The processes of the quickstart: three mocks and a gateway over them, and over real providers whose keys are set."""

import http.client
import json
import os
import subprocess

MODEL = "quick"

# Slow enough that calls overlap and the run outlasts a few windows of 429, fast enough to end in seconds.
PACE = ["--latency-ms", "60", "--jitter-ms", "40", "--tokens", "24", "--tps", "150"]

MOCKS = {
    "healthy": [],
    "limited": ["--limit", "2500:800"],  # The last 0.8 s of each 2.5 s: 429 with Retry-After.
    "mortal": [],                        # Killed in the middle of the run.
}


def real_deployments():
    """Providers whose keys are in the environment, by APIs that speak OpenAI's dialect."""
    found = []

    def add(name, url, model, **secrets):
        # 60 calls a minute, so that all of them together cost cents.
        found.append({"name": name, "url": url.rstrip("/"), **secrets, "models": {MODEL: {"as": model, "rpm": 60}}})

    # Names as the SDKs and their documentation use them.
    get = os.environ.get
    if get("OPENAI_API_KEY"):
        add("openai", get("OPENAI_BASE_URL") or "https://api.openai.com/v1", get("OPENAI_MODEL") or "gpt-4o-mini",
            key={"env": "OPENAI_API_KEY"})
    if get("ANTHROPIC_API_KEY"):
        # Anthropic's endpoint for OpenAI's SDKs; its own dialect is not spoken yet.
        base = get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com"
        add("anthropic", base.rstrip("/") + "/v1", get("ANTHROPIC_MODEL") or "claude-haiku-4-5",
            key={"env": "ANTHROPIC_API_KEY"})
    if get("AZURE_OPENAI_ENDPOINT") and get("AZURE_OPENAI_API_KEY"):
        add("azure", get("AZURE_OPENAI_ENDPOINT").rstrip("/") + "/openai/v1",
            get("AZURE_OPENAI_DEPLOYMENT") or "gpt-4o-mini", headers={"api-key": {"env": "AZURE_OPENAI_API_KEY"}})
    return found


class World:
    def __init__(self, lb, folder):
        self.lb = lb
        self.folder = folder
        self.processes = {}
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            process.wait()

    def start(self):
        deployments = []
        for name, options in MOCKS.items():
            url = self.spawn(name, ["mock", "--name", name, "--models", MODEL, *PACE, *options])
            deployments.append({"name": name, "url": url, "models": [MODEL]})
        real = real_deployments()
        for deployment in real:
            print(f"using {deployment['name']} as well: {deployment['url']}")
        if not real:
            print("three mocks; set OPENAI_API_KEY, ANTHROPIC_API_KEY or AZURE_OPENAI_* to use real ones as well")
        config = {"listen": [{"address": "127.0.0.1:0"}], "deployments": deployments + real,
                  "routes": [{"model": MODEL, "retries": 3}]}
        path = self.folder / "lb.json"
        path.write_text(json.dumps(config, indent=2) + "\n")
        self.address = self.spawn("gateway", ["serve", str(path)]).removeprefix("http://")
        print(f"gateway at http://{self.address}/v1, model \"{MODEL}\"")

    def spawn(self, name, arguments):
        """Starts `lb ...` and returns the address that the first line of its output names."""
        with open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen([self.lb, *arguments], stdout=subprocess.PIPE, stderr=log, text=True)
        self.processes[name] = process
        line = process.stdout.readline()
        if "listening on " not in line:
            log = (self.folder / f"{name}.log").read_text()
            raise SystemExit(f"lb {arguments[0]} did not start: {log or line}")
        return line.split("listening on ")[1].strip()

    def kill(self, name):
        self.processes[name].kill()

    def stats(self):
        connection = http.client.HTTPConnection(self.address, timeout=10)
        connection.request("GET", "/stats")
        answer = json.load(connection.getresponse())
        connection.close()
        return answer
