#!/usr/bin/env python3
"""whole_job.py ARCHIVE [RUNS]: the whole job against plain hashing of the same files, in one run. See README.md."""
import os, statistics, subprocess, sys, tempfile, time

archive, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
files = sorted(os.path.join(d, f) for d, _, fs in os.walk(archive) for f in fs)
size = sum(os.path.getsize(f) for f in files)


def timed(command, **more):
    """Seconds, and peak memory in MiB of the command's process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[0]} ended with {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
    listing.write("\0".join(files))
    listing.flush()
    cores = os.cpu_count() or 1
    share = max(1, len(files) // (cores * 4))
    hashing = ["xargs", "-0", "-a", listing.name, f"-P{cores}", f"-n{share}", "openssl", "dgst", "-sha256"]
    analyze = [f"{root}/target/release/holdtrace", "analyze", archive, "--format", "ndjson"]
    timed(hashing), timed(analyze)  # the files are in the page cache from here on
    pairs = [(timed(hashing)[0], *timed(analyze)) for _ in range(runs)]

hashed, analysed, memory = (statistics.median(column) for column in zip(*pairs))
ratios = sorted(a / h for h, a, _ in pairs)
print(f"{size / 1e6:.0f} MB in {len(files)} files, {cores} cores, {runs} runs, medians")
print("| what | seconds | MB/s | peak MiB |")
print("|---|---|---|---|")
print(f"| openssl dgst -sha256 | {hashed:.2f} | {size / 1e6 / hashed:.0f} | |")
print(f"| holdtrace analyze | {analysed:.2f} | {size / 1e6 / analysed:.0f} | {memory:.0f} |")
print(f"ratio to hashing: {statistics.median(ratios):.1f} (from {ratios[0]:.1f} to {ratios[-1]:.1f})")
