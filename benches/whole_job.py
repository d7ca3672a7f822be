#!/usr/bin/env python3
"""whole_job.py ARCHIVE [RUNS] [ENGINE...]: the whole job beside plain hashing of the same files and beside the same kind of
job written by hand in other engines (engines.py), in one run, as a table of ratios; the engine `parts` is holdtrace itself on
the archive as it was ingested before. See README.md."""
import os
import statistics
import subprocess
import sys
import tempfile
import time

archive = sys.argv[1]
runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
engines = sys.argv[3:]
here = os.path.dirname(os.path.abspath(__file__))
files = sorted(os.path.join(d, f) for d, _, fs in os.walk(archive) for f in fs)
size = sum(os.path.getsize(f) for f in files)


def timed(command):
    """Seconds, and peak memory in MiB of the command's process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} ended with {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
    listing.write("\0".join(files))
    listing.flush()
    cores = os.cpu_count() or 1
    share = max(1, len(files) // (cores * 4))
    hashing = ["xargs", "-0", "-a", listing.name, f"-P{cores}", f"-n{share}", "openssl", "dgst", "-sha256"]
    release = os.path.join(os.path.dirname(here), "target/release/holdtrace")
    commands = {"openssl dgst -sha256": hashing, "holdtrace analyze": [release, "analyze", archive, "--format", "ndjson"]}
    parts = tempfile.TemporaryDirectory()
    for name in engines:
        if name == "parts":
            timed([release, "ingest", archive, "--out", parts.name])
            commands["holdtrace analyze, of parts"] = [release, "analyze", parts.name, "--format", "ndjson"]
        else:
            commands[name] = [sys.executable, os.path.join(here, "engines.py"), name, archive]
    for command in commands.values():  # the files are in the page cache from here on
        timed(command)
    rounds = [{name: timed(command) for name, command in commands.items()} for _ in range(runs)]

print(f"{size / 1e6:.0f} MB in {len(files)} files, {cores} cores, {runs} rounds, medians; ratios are medians of each round's")
print("| what | seconds | MB/s | peak MiB | times hashing | times holdtrace |")
print("|---|---|---|---|---|---|")
for name in commands:
    seconds = statistics.median(r[name][0] for r in rounds)
    memory = statistics.median(r[name][1] for r in rounds)
    ratio = {to: statistics.median(r[name][0] / r[to][0] for r in rounds) for to in list(commands)[:2]}
    hashing, own = ratio.values()
    print(f"| {name} | {seconds:.2f} | {size / 1e6 / seconds:.0f} | {memory:.0f} | {hashing:.1f} | {own:.2f} |")
