"""Mixed traffic over faulty upstreams, then silence: every counter is back at zero, and memory where it was."""

import http.client
import itertools
import json
import os
import random
import socket
import subprocess
import time

from parts import KIB, Failure, Part, memory, open_files, wait_for
from traffic import Traffic

SLOTS = 24         # Direct calls at a time.
CLIENTS = 12       # Of the gateway.
WARM_S = 12        # The least of the round before the baseline.
KEEP_ALIVE_MS = 1500
RELOAD_S = 1.5
RESTART_S = 4.0
# How much more the heap may hold at the end than after the first round, which had the same traffic. Blocks tell a leak
# best: one leaves one for each call, or many for each connection or reload. There are some 600 at rest, and 29 more
# after 20 minutes for worlds that lived at the same time as never before, and some 80 for heads of calls that wait to be
# filled again (Engine::kBlankHeadsMax, twice) and keep the longest texts they have had. Bytes have room for batches,
# which keep that of their largest turn: of 36 calls with 18 events each some 0.2 MB, if all come at once. Eight bytes a
# call are more within two minutes.
BLOCKS_MORE = 300
HEAP_MORE = 512 * KIB

FAULTS = ("broken", "connect", "overloaded", "rate_limit", "server", "timeout")  # That must have happened.
BIG = 1_050_000    # Bytes of an answer for the model `big`: more than may be held, and than a window.
PACE = {"latency_ms": 3, "jitter_ms": 6, "event_gap_ms": 1}
MOCKS = {
    "steady": {},
    "limited": {"limit": {"every_ms": 1500, "for_ms": 500, "form": "ms"}},
    "failing": {"error": {"rate": 0.3, "status": [500, 502, 503, 529]}},
    "pages": {"error": {"rate": 0.3, "status": 502, "body": "html"}, "pings": 3},
    "cutting": {"cut": {"rate": 0.3, "after_events": 5, "reset": True}},
    "closing": {"cut": {"rate": 0.2, "before_head": True}, "answers_per_connection": 7, "announce_close": False},
    "stalling": {"stall": {"rate": 0.15, "after_events": 3}},
    "silent": {"stall": {"rate": 0.1, "before_head": True}},
    "odd": {"error_event": {"at": 0}, "trailing": "garbage"},
    "unfinished": {"finish": False},
    "mortal": {},
}


def free_port():
    """A port, and the socket that keeps it: bound, not listening, so that connections to it are refused."""
    plug = socket.socket()
    plug.bind(("127.0.0.1", 0))
    return plug, plug.getsockname()[1]


class Upstreams:
    """The mocks, each a process; `mortal` is killed and started again all the time."""

    def __init__(self, lb):
        self.lb = lb
        self.plug, refused = free_port()
        self.ports = {"refusing": refused}
        self.processes = {}
        for number, name in enumerate(MOCKS):
            self.start(name, seed=number + 1)

    def start(self, name, seed=1):
        faults = MOCKS[name]
        options = {"name": name, "seed": seed, "journal_calls": 0, "port": self.ports.get(name, 0), **PACE, **faults,
                   "per_model": {"big": {"name": name, **faults, "body_bytes": BIG}}}
        process = subprocess.Popen([self.lb, "mock", "--options", json.dumps(options)],
                                   stdout=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        if "listening on" not in line:
            process.kill()
            raise Failure(f"the mock {name} did not start: {line}")
        self.ports[name] = int(line.rsplit(":", 1)[1].split("/")[0])
        self.processes[name] = process

    def stop(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait()
        process.stdout.close()

    def restart(self, name):
        self.stop(name)
        time.sleep(0.2)
        self.start(name)

    def connections(self):
        """Connections of either end that are not closed, over all upstreams."""
        ports = {f"{port:04X}" for port in self.ports.values()}
        with open("/proc/net/tcp") as file:
            rows = [line.split() for line in list(file)[1:]]
        return sum(1 for row in rows if row[3] in ("01", "02", "08") and
                   (row[1].split(":")[1] in ports or row[2].split(":")[1] in ports))

    def close(self):
        for name in list(self.processes):
            self.stop(name)
        self.plug.close()


def document(ports, generation):
    """Every other one is another world: names, limits, routes and policies differ, and some deployments are new."""
    odd = generation % 2 == 1
    # A text that an answer begins with is the mock's name; what lb calls it has the generation behind it.
    deployments = []
    for number, (name, port) in enumerate(ports.items()):
        if odd and name in ("odd", "pages"):
            continue
        fresh = odd and name == "closing"
        deployments.append({"name": f"{name}.{generation}" if fresh else name, "url": f"http://127.0.0.1:{port}/v1",
                            "models": ["m", "big"] if number % 2 == 0 or not odd else {"m": {"as": "other"}, "big": {}},
                            "head_ms": 700, "content_ms": 700, "idle_ms": 400, "connect_ms": 1000,
                            "keep_alive_ms": KEEP_ALIVE_MS, "weight": 2 if odd else 1,
                            **({"concurrency": 8} if odd and name == "steady" else {}),
                            **({"probe_ms": 300} if name in ("mortal", "refusing") else {})})
    route = {"retries": 3, "deadline_ms": 4000, "wait_ms": 300, "replay_bytes": 1 << 20, "backoff_ms": 20}
    return json.dumps({
        "listen": [{"address": "127.0.0.1:0"}],
        "deployments": deployments,
        "routes": [{"model": "m", **route, "balance": "round_robin" if odd else "p2c",
                    "retry": "again" if odd else "elsewhere"},
                   {"model": "big", **route, "window_bytes": 32768}],
        "callers": {"*": {"concurrency": 6 if odd else 12}},
        "health": {"open_ms": 300, "open_max_ms": 1000, "rate_limit_ms": 200, "overloaded_ms": 200, "slow_start_ms": 500,
                   "auth_ms": 200, "not_found_ms": 200},
        "retry_budget": {"ratio": 2},
    })


class Soak:
    def __init__(self, programs, folder, seed):
        self.folder, self.chance = folder, random.Random(seed)
        self.seed = seed
        self.generations = itertools.count(1)
        self.host = None
        self.upstreams = Upstreams(programs.lb)
        try:
            self.host = Part(programs.soak, self.write(0), count=os.path.join(folder, "soak.heap"),
                             preload=programs.heap_count)
            self.host.answer()
            self.address = self.host.order("address")["address"]
        except BaseException:
            self.close()
            raise
        self.reloads = self.restarts = 0

    def close(self):
        if self.host:
            self.host.kill()
        self.upstreams.close()

    def write(self, generation):
        path = os.path.join(self.folder, f"soak.{generation % 2}.json")
        with open(path, "w") as file:
            file.write(document(self.upstreams.ports, generation))
        return path

    def reload(self, generation):
        told = self.host.order(f"reload {self.write(generation)}")
        if told["status"] != "OK":
            raise Failure(f"a reload was refused: {told}")
        if self.host.order("reload /dev/null")["status"] != "CONFIG":
            raise Failure("an empty configuration was taken")
        self.reloads += 1

    def traffic(self, seconds, seed):
        """For so long; what was seen and what was wrong, of both doors."""
        self.host.order(f"go {SLOTS} {seed}")
        clients = Traffic(self.address, CLIENTS, seed)
        end = time.monotonic() + seconds
        reload_at, restart_at = time.monotonic() + RELOAD_S, time.monotonic() + RESTART_S
        while time.monotonic() < end:
            time.sleep(0.05)
            if time.monotonic() >= reload_at:
                self.reload(next(self.generations))
                reload_at = time.monotonic() + RELOAD_S
            if time.monotonic() >= restart_at:
                self.upstreams.restart("mortal")
                self.restarts += 1
                restart_at = time.monotonic() + RESTART_S
        seen, wrong = clients.end()
        self.host.order("stop")
        told = wait_for("the direct calls to end", self.direct_rest)
        # The world that it began with, so that the two rests are of the same one.
        self.reload(next(number for number in self.generations if number % 2 == 0))
        if told["wrong"]:
            wrong.append(f"{told['wrong']} direct calls were wrong, see above")
        return seen, told, wrong

    def direct_rest(self):
        told = self.host.order("count")
        return told if told["busy"] == 0 else None

    def failures(self):
        """Attempts that failed, by class, of the deployments that there are now."""
        out = {}
        for deployment in self.host.order("stats")["deployments"]:
            for target in deployment["targets"]:
                for name, count in target["failed"].items():
                    out[name] = out.get(name, 0) + count
        return out

    def counters(self):
        """Those of lb that must be zero at rest, and the connections that upstreams still have."""
        stats = self.host.order("stats")
        out = {"calls in flight": stats["calls"]["in_flight"], "calls waiting": stats["calls"]["waiting"],
               "links": stats["links"]["open"], "idle links": stats["links"]["idle"],
               "replay bytes": stats["replay_bytes"], "clients": stats["clients"]["open"],
               "clients busy": stats["clients"]["busy"], "connections of upstreams": self.upstreams.connections()}
        for deployment in stats["deployments"]:
            out[f"in flight at {deployment['name']}"] = deployment["in_flight"]
        calls = stats["calls"]
        out["calls unaccounted for"] = calls["started"] - calls["ok"] - calls["failed"] - calls["cancelled"]
        return {name: value for name, value in out.items() if value != 0}

    def rest(self):
        """Memory and descriptors, once every counter is zero and stays so."""
        try:
            wait_for("every counter to be zero", lambda: not self.counters(), patience=30)
        except Failure as failure:
            raise Failure(f"{failure}: {self.counters()}") from None
        time.sleep(1)  # What the last connections held is freed by then; probes of what is out come and go.
        wait_for("no probe to be under way", lambda: not self.counters(), patience=30)
        found = memory(self.host)
        found["files"] = open_files(self.host)
        found["threads"] = len(os.listdir(f"/proc/{self.host.pid}/task"))
        return found


def judge(before, after, heap_counted):
    """Complaints."""
    out = []
    for name in ("files", "threads"):
        if after[name] > before[name]:
            out.append(f"{name}: {before[name]} before, {after[name]} after")
    if heap_counted:
        heap, blocks = after["heap"] - before["heap"], after["blocks"] - before["blocks"]
        if heap > HEAP_MORE or blocks > BLOCKS_MORE:
            out.append(f"the heap holds {heap / KIB:.1f} KiB more than before, in {blocks} more blocks; "
                       f"{HEAP_MORE // KIB} KiB and {BLOCKS_MORE} blocks are allowed")
    return out


def show(name, found):
    heap = f"heap {found['heap'] / KIB:,.1f} KiB in {found['blocks']:,} blocks, " if "heap" in found else ""
    print(f"  {name:<22}{heap}resident {found['rss'] / KIB:,.0f} KiB, {found['files']} descriptors", flush=True)


def run_soak(programs, folder, seconds, seed):
    """Whether all is well."""
    warm = max(WARM_S, seconds // 10)
    print(f"\nmixed traffic for {seconds} s, after {warm} s of the same; {SLOTS} direct calls and {CLIENTS} clients at a "
          f"time, seed {seed}", flush=True)
    soak = Soak(programs, folder, seed)
    try:
        _, _, wrong = soak.traffic(warm, seed)
        before = soak.rest()
        show("after the first round", before)
        seen, told, more = soak.traffic(seconds, seed + 1)
        after = soak.rest()
        show("at the end", after)
        failed = soak.failures()
        wrong += more + judge(before, after, programs.heap_count is not None)
        direct = told["ends"]
        print(f"  direct: {told['started']:,} calls; " + ", ".join(f"{n:,} {name}" for name, n in sorted(direct.items())))
        print("  gateway: " + ", ".join(f"{n:,} {name}" for name, n in sorted(seen.items())))
        print("  attempts that failed: " + ", ".join(f"{n:,} {name}" for name, n in sorted(failed.items())))
        print(f"  {soak.reloads} reloads, {soak.restarts} restarts of an upstream")
        wrong += [f"no attempt failed by {name}: this proves little" for name in FAULTS if not failed.get(name)]
        if direct.get("OK", 0) * 2 < told["started"] or seen["plain: 200"] * 2 < sum(
                n for name, n in seen.items() if name.startswith("plain: ")):
            wrong.append("less than half of the calls succeeded: this proves little")
        if soak.host.end() != 0:
            wrong.append("the host did not end well: see above")
    finally:
        soak.close()
    for each in wrong[:10]:
        print(f"  WRONG: {each}")
    return not wrong
