"""The run of examples/quickstart: three mocks, `lb serve` over them, calls, a table. Standard library only."""

import pathlib
import sys

from calls import Run
from world import World


def percentile(values, share):
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def print_table(run, stats):
    header = ("deployment", "served", "share", "attempts", "failed attempts", "p50", "p99")
    rows = [header]
    for deployment in stats["deployments"]:
        times = run.times.get(deployment["name"], [])
        attempts = sum(target["attempts"] for target in deployment["targets"])
        failed = {}
        for target in deployment["targets"]:
            for kind, count in target["failed"].items():
                failed[kind] = failed.get(kind, 0) + count
        rows.append((
            deployment["name"], str(len(times)), f"{100 * len(times) / max(1, run.total):.1f} %", str(attempts),
            ", ".join(f"{count} {kind}" for kind, count in sorted(failed.items())) or "-",
            f"{percentile(times, 50) * 1000:.0f} ms" if times else "-",
            f"{percentile(times, 99) * 1000:.0f} ms" if times else "-"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  " + "  ".join(cells))


def main():
    lb, folder, total = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    with World(lb, folder) as world:
        run = Run(world, total)
        run.go()
        stats = world.stats()
    print()
    print_table(run, stats)
    print(f"\n  {total} calls, {run.started[True]} of them streamed, in {run.seconds:.1f} s; "
          f"attempts beyond the first: {stats['calls']['retries']}")
    print(f"  failed calls: {len(run.failures)}")
    for failure in run.failures[:5]:
        print(f"    {failure}")
    print(f"\n  configuration and logs: {folder}")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
