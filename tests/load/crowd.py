"""Many streams at once, through the C ABI or through the gateway: all open at the same time, nothing lost, and what each
costs lb in memory."""

import http.client
import json
import os
import time

from parts import KIB, Failure, Part, memory, open_files, socket_memory, wait_for

EVENTS = 40       # Of a stream, besides its finish reason and [DONE].
EARLY = 20        # Said while the others are started; the rest when all are open.
GAP_MS = 100
WARM = 200        # Streams before the baseline: what is allocated once is allocated.
SPARE = 200       # Descriptors of a process besides its streams.
KEEP_ALIVE_MS = 3000
LIMIT_KIB = 12    # Of memory for a stream: issue 4.
MODEL = "load-model"


def document(upstream_port, streams, listen):
    config = {
        "deployments": [{"name": "load", "url": f"http://127.0.0.1:{upstream_port}/v1", "models": [MODEL],
                         "connections_max": streams + WARM, "keep_alive_ms": KEEP_ALIVE_MS}],
        "limits": {"connections": streams + WARM},
    }
    if listen:
        config["listen"] = [{"address": "127.0.0.1:0"}]
    return json.dumps(config)


class Crowd:
    """One run: an upstream, lb, and who waits for the streams."""

    def __init__(self, programs, folder, streams, door):
        self.programs, self.folder, self.streams, self.door = programs, folder, streams, door
        self.parts = []
        self.upstream = self.add(Part(programs.upstream, str(EVENTS), str(EARLY), str(GAP_MS)))
        path = os.path.join(folder, f"{door}.json")
        with open(path, "w") as file:
            file.write(document(self.upstream.answer()["port"], streams, door == "gateway"))
        counted = {"count": os.path.join(folder, f"{door}.heap"), "preload": programs.heap_count}
        reach = str(streams + WARM)
        if door == "abi":
            self.lb = self.reader = self.add(Part(programs.streams, path, reach, str(EVENTS), **counted))
        else:
            self.lb = self.add(Part(programs.lb, "serve", path, "--log-level", "warn", **counted))
            self.port = int(self.lb.line().rsplit(":", 1)[1])
            self.reader = self.add(Part(programs.clients, str(self.port), reach, str(EVENTS)))
        self.reader.answer()

    def add(self, part):
        self.parts.append(part)
        return part

    def stats(self):
        if self.door == "abi":
            return self.lb.order("stats")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/stats", headers={"connection": "close"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def close(self):
        for part in reversed(self.parts):
            part.kill()

    def end(self):
        """Ends what lb is in, in order: under a sanitizer it says then what it has leaked."""
        if self.door == "gateway":
            self.lb.process.terminate()
        if status := self.lb.end():
            raise Failure(f"{self.lb.name} ended with status {status}")

    def at_rest(self):
        """Nothing is in flight, and no connection is left."""
        stats = self.stats()
        clients = stats.get("clients", {"open": 1})["open"]  # Whoever asks is one.
        return stats["calls"]["in_flight"] == 0 and stats["links"]["open"] == 0 and clients <= 1

    def finish(self, first, count):
        """All that were started have ended; complains of any that is not as it was sent."""
        total = first + count - 1

        def over():
            seen = self.reader.order("count")
            return seen if seen["ended"] + seen["wrong"] >= total else None

        seen = wait_for(f"{total} streams to end", over)
        sent = self.upstream.order("count")
        if seen["wrong"]:
            raise Failure(f"{seen['wrong']} of {total} streams did not arrive as they were sent")
        for key in ("ended", "bytes", "events", "sum"):
            told = sent[key]
            if self.door == "abi" and key in ("bytes", "events", "sum"):
                told = without_done(key, told, total)
            if seen[key] != told:
                raise Failure(f"{key}: {told} were sent, {seen[key]} arrived")
        return seen

    def run(self):
        self.reader.order(f"start 1 {WARM}")
        self.finish(1, WARM)
        wait_for("the warm-up to be over", self.at_rest)
        base, base_files, base_sockets = memory(self.lb), open_files(self.lb), socket_memory()
        self.upstream.order("hold")
        began = time.monotonic()
        self.reader.order(f"start {WARM + 1} {self.streams}")
        wait_for(f"{self.streams} streams to be open at once",
                 lambda: self.upstream.order("count")["held"] == self.streams, patience=300)
        opened = time.monotonic() - began
        early = WARM * (EVENTS + 2) + self.streams * EARLY  # [DONE] is left out of every other one of the first.
        if self.door == "abi":
            early -= WARM // 2
        wait_for("what was said so far", lambda: self.reader.order("count")["events"] == early)
        stats = self.stats()
        in_flight = stats["calls"]["in_flight"]
        if in_flight != self.streams:
            raise Failure(f"{in_flight} calls are in flight, not {self.streams}")
        held, files, sockets = memory(self.lb), open_files(self.lb), socket_memory()
        self.upstream.order("release")
        began = time.monotonic()
        seen = self.finish(1, WARM + self.streams)
        ended = time.monotonic() - began
        time.sleep(0.5)  # What the last of them held is freed a turn later.
        kept, idle = self.stats()["links"]["open"], memory(self.lb)
        wait_for("the connections to be closed", self.at_rest)
        wait_for("the descriptors to be given back", lambda: open_files(self.lb) <= base_files)
        time.sleep(0.5)
        after = memory(self.lb)
        self.end()
        return {"streams": self.streams, "opened_s": opened, "ended_s": ended, "seen": seen, "base": base, "held": held,
                "kept": kept, "idle": idle, "after": after, "files": files - base_files,
                "sockets": [b and a - b for a, b in zip(sockets, base_sockets)]}


def without_done(key, told, total):
    """What of the upstream's count a host sees that has every other stream, those with even numbers, as events: [DONE] is
    not one."""
    by_event = total // 2
    if key == "events":
        return told - by_event
    if key == "bytes":
        return told - by_event * len("[DONE]")
    value = 0xcbf29ce484222325
    for byte in b"[DONE]":
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return f"{(int(told, 16) - by_event * value) % 2**64:x}"


def report(result, door, judged):
    """Prints the figures; whether memory is within its limit, if that is to be judged."""
    n = result["streams"]
    ends = 1 if door == "abi" else 2
    print(f"  all open after {result['opened_s']:.1f} s, all ended {result['ended_s']:.1f} s after their release; "
          f"{result['seen']['events']:,} events, {result['seen']['bytes']:,} bytes, as sent")
    each = {key: (result["held"][key] - result["base"][key]) / n for key in result["base"]}
    fine = True
    print(f"  {'memory of lb':<30}{'before':>12}{'held':>12}{'a stream':>14}{'after':>12}")
    for key, name in (("heap", "heap"), ("rss", "resident"), ("pss", "proportional")):
        if key not in each:
            continue
        over = judged and each[key] > LIMIT_KIB * KIB
        fine = fine and not over
        print(f"  {name:<30}{result['base'][key] / KIB:>8,.0f} KiB{result['held'][key] / KIB:>8,.0f} KiB"
              f"{each[key] / KIB:>10.2f} KiB{result['after'][key] / KIB:>8,.0f} KiB"
              f"{f'  over the limit of {LIMIT_KIB} KiB' if over else ''}")
    if "blocks" in each:
        print(f"  {'blocks of the heap':<30}{result['base']['blocks']:>12,}{result['held']['blocks']:>12,}"
              f"{each['blocks']:>14.1f}{result['after']['blocks']:>12,}")
        kept = (result["idle"]["heap"] - result["after"]["heap"]) / max(1, result["kept"])
        print(f"  of the heap, for a connection that is kept when its stream has ended: {kept / KIB:.2f} KiB")
    buffers, own = result["sockets"]
    print(f"  the kernel, for the {2 * ends} sockets of a stream: buffers {buffers / n / KIB:.2f} KiB"
          + (f", structures {own / n / KIB:.2f} KiB" if own else ""))
    print(f"  descriptors of lb: {result['files'] / n:.2f} a stream, all given back")
    return fine
