#!/usr/bin/env python3
"""Proves that the simulator can fail: plants one defect at a time into a copy of the tree, and expects seeds to catch it.

planted.py [--seeds N] [--shrink] [--places] [NAME...]

Prints which seed caught which defect, with --shrink also the scenario made small. With --places it only looks whether
each defect still has its place in the tree. Exit code 1 if one was not caught, or has none.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# name: (file, what stands there, what is planted instead)
DEFECTS = {
    "retry after commitment": (
        "lib/engine/attempt.cc",
        "  if (head_emitted_)\n    return broken(Status::BROKEN, \"the connection broke in the middle of the answer: \" + std::string(why));\n",
        "  if (head_emitted_) {\n    close_attempt(Took::unknown);\n    held_.clear();\n    head_emitted_ = false;\n    return dispatch();\n  }\n"),
    "truncated answer presented as a success": (
        "lib/engine/answer.cc",
        "    if (!answer.finished() || !whole)\n      return broken(",
        "    if (false)\n      return broken("),
    "target tried twice": (
        "lib/engine/attempt.cc", "    tried_.push_back(index);\n", ""),
    "concurrency slot leaked on cancel": (
        "lib/policy/balancer.cc", "    scope.in_flight--;\n",
        "    if (ended.took != Ended::Took::input) scope.in_flight--;\n"),
    "waits end too late": (
        "lib/engine/dispatch.cc", "std::min({limit, decision.wait_until, decision.look_at})", "limit"),
    "window ignored": (
        "lib/engine/answer.cc", "  while (limit > 0 && (outstanding() < window_ ||", "  while (limit > 0 && (true ||"),
    "cancel leaves the upstream connection open": (
        "lib/engine/link.cc", "  if (link.conn) net_.close(link.conn, false);\n", "  if (link.conn && link.served > 0) net_.close(link.conn, false);\n"),
    "waiting calls forgotten": (
        "lib/engine/attempt.cc", "  echo_left_ = -1;\n  context_.capacity_freed = true;\n", "  echo_left_ = -1;\n"),
    "model spliced at the wrong place": (
        "lib/engine/attempt.cc", "      attempt_.cursor = attempt_.splice_end;\n", "      attempt_.cursor = attempt_.splice_end + 1;\n"),
    "caller's credentials sent upstream": (
        "lib/engine/dispatch.cc", "\"expect\",         \"authorization\", ", "\"expect\", "),
    "no error event on a broken stream": (
        "lib/engine/answer.cc", "in_band_error_ ? \"\" : broken_event(operation_, message);", "\"\";"),
    # Found by clients of the gateway.
    "a length promised for an answer that may break": (
        "lib/engine/answer.cc", "  if (events_ || may_break) head.remove(", "  if (false) head.remove("),
    "last chunk behind a broken stream": (
        "lib/gateway/answer.cc", "    call_ = 0;\n    return finish();",
        "    call_ = 0;\n    if (chunked_) put_text(kLastChunk);\n    return finish();"),
    "next request begun before the answer is over": (
        "lib/gateway/client.cc", "  if (phase_ == Phase::active) return body_done_;", "  if (phase_ == Phase::active) return false;"),
    "call goes on when its client has left": (
        "lib/gateway/client.cc", "  if (!call_) return finish();\n  leave(false);", "  finish();"),
    "credit for what a slow client has not taken": (
        "lib/gateway/answer.cc", "std::min<uint64_t>(owed_, unsent())", "uint64_t{0}"),
    "client that takes nothing kept for ever": (
        "lib/gateway/client.cc", "  if (send_due_ <= context_.now) return abort();", "  if (false) return abort();"),
    # Found by failing each port call in turn.
    "listener that cannot be bound goes unnoticed": (
        "lib/gateway/gateway.cc", "status != Status::OK) return status;", "status != Status::OK) return Status::OK;"),
    # Found by dividing turns.
    "random number drawn for each turn": (
        "lib/engine/engine.cc", "  s.timers.take_due(s.now, s.fired);", "  s.fleet.balancer().rng().next();\n  s.timers.take_due(s.now, s.fired);"),
    # Found by counting what arrives.
    "limit lets one more through": (
        "lib/policy/quota.h", "bool fits = in_use + charge.of(spec_.metric) <= limit_;", "bool fits = in_use < limit_ + charge.of(spec_.metric);"),
    "place too many": (
        "lib/policy/balancer.cc", "scope.in_flight >= scope.concurrency);", "scope.in_flight > scope.concurrency);"),
    "retry budget never spent": (
        "lib/policy/retry.cc", "  if (left(spec, now) < 1) return false;\n", ""),
    "round robin that ignores weights": (
        "lib/policy/pick.cc", "    double weight = facts.weight * facts.warmth;\n    tier.current", "    double weight = facts.warmth;\n    tier.current"),
    "one caller served before all others": (
        "lib/policy/admit.cc",
        "  visited_ = next != ring_.end() && next->caller == last;\n  std::rotate(ring_.begin(), next, ring_.end());\n",
        "  visited_ = next == ring_.end();\n"),
    "loser of a hedge goes on": (
        "lib/engine/hedge.cc", "*loser.ended.first_content);\n  }\n  drop_rival();\n", "*loser.ended.first_content);\n  }\n"),
    "hedges beyond their share": (
        "lib/policy/hedge.cc", "  if (saved_ < 1) return false;\n", ""),
    # Found where callers and upstreams speak different dialects.
    "end of a translated stream made up": (
        "lib/wire/dialect/translate.cc", "    writer->on(delta);\n  }\n",
        "    writer->on(delta);\n    if (delta.kind == Delta::Kind::text) writer->on({.kind = Delta::Kind::end});\n  }\n"),
    "caller's fields sent to another provider": (
        "lib/engine/attempt.cc", "    if (attempt_.translated && is_of_a_dialect(field.name)) continue;\n", ""),
    "translated answer beyond the window": (
        "lib/engine/pieces.h", "at += kPieceMax) to.push(all.slice(at, std::min(kPieceMax, all.size() - at)));",
        "at += all.size()) to.push(all);"),
    "error event of another dialect": (
        "lib/wire/answer.cc", "  if (operation == Operation::messages) return anthropic_error_event(",
        "  if (false) return anthropic_error_event("),
    "last text of a translated stream lost": (
        "lib/engine/answer.cc", "    hold_rewritten();\n    if (attempt_.stream) trace", "    if (!head_emitted_) hold_rewritten();\n    if (attempt_.stream) trace"),
    "hedged without its whole body": (
        "lib/engine/hedge.cc", "if (!open || hedged_ || !body_.complete() || !body_.replayable()) return;", "if (!open || hedged_) return;"),
}


def copy_tree(to):
    files = subprocess.check_output(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], text=True).split("\n")
    for name in filter(None, files):
        source = os.path.join(ROOT, name)
        if not os.path.isfile(source):
            continue
        target = os.path.join(to, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(source, target)


def run(command, **kwargs):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs)


def build(tree):
    built = run(["ninja", "-C", os.path.join(tree, "build"), "tests/sim/lb_sim"])
    if built.returncode:
        sys.exit(built.stdout)
    return os.path.join(tree, "build", "tests", "sim", "lb_sim")


def caught(sim, seeds):
    """The line that says so; a crash counts too: the engine's own checks are part of the net."""
    try:
        done = run([sim, "--seeds", str(seeds), "--nths", str(seeds // 10), "--most", "20", "--broken", "1"], timeout=1800)
    except subprocess.TimeoutExpired:
        return "the run does not end"
    if done.returncode == 0:
        return None
    line = re.search(r"BROKEN with .*|.*check failed.*|.*LB_CHECK.*", done.stdout)
    return line[0] if line else f"exit code {done.returncode}"


def places_gone(names):
    gone = 0
    for name in names:
        file, old, _ = DEFECTS[name]
        with open(os.path.join(ROOT, file)) as f:
            if f.read().count(old) != 1:
                print(f"{name}: the place in {file} is not there (any more); adapt DEFECTS")
                gone += 1
    return gone


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--places", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    names = args.names or DEFECTS
    if places_gone(names):
        return 1
    if args.places:
        return 0
    tree = tempfile.mkdtemp(prefix="lb-planted-")
    missed = 0
    try:
        copy_tree(tree)
        setup = run(["meson", "setup", os.path.join(tree, "build"), tree, "-Dbuildtype=debugoptimized"])
        if setup.returncode:
            sys.exit(setup.stdout)
        if caught(build(tree), args.seeds):
            sys.exit("without any defect there are broken seeds already")
        for name in names:
            file, old, new = DEFECTS[name]
            path = os.path.join(tree, file)
            with open(path) as f:
                text = f.read()
            with open(path, "w") as f:
                f.write(text.replace(old, new))
            sim = build(tree)
            line = caught(sim, args.seeds)
            print(f"{'caught' if line else 'MISSED'}: {name}" + (f"\n    {line}" if line else ""), flush=True)
            missed += line is None
            seed = re.search(r"with seed (\d+): (?!with port call)", line or "")
            if args.shrink and seed:
                print(run([sim, "--shrink", seed[1]]).stdout, flush=True)
            with open(path, "w") as f:
                f.write(text)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
