#!/usr/bin/env python3
"""Our blog beside a Django blog of the tutorial's kind, on the same SQLite file, each on one processor.

    app/bench/bench.py prepare   builds the blog for release, installs Django, fills the databases
    app/bench/bench.py measure   asks both for the same pages, one after the other, and prints the tables

wrk asks from the other processor. A page is one of many (posts, searched words), so that no single one is hot.
CPU is user and system time of all processes of the server, memory their proportional set size after the run.
"""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
WORK = ROOT / "target" / "bench-blog"
BLOG = ROOT / "target" / "release" / "blog"
PACKAGES = ["Django==5.2.19", "gunicorn==27.0.1", "Markdown", "Pygments"]
SMALL, LARGE = 1_000, 100_000
SECONDS = 4
CONNECTIONS = 8
WORDS = ["灰度", "发布", "Kubernetes", "数据库", "index", "Rust", "metrics", "缓存"]
TICKS = os.sysconf("SC_CLK_TCK")


def database(posts):
    return WORK / f"blog-{posts}.db"


def prepare():
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed (Debian: apt-get install wrk)")
    WORK.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "blog"], cwd=ROOT, check=True)
    python = WORK / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", WORK / "venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    for posts in (SMALL, LARGE):
        marker = database(posts).with_suffix(".filled")
        url = f"sqlite:{database(posts)}"
        # Also what is filled already may be of an earlier release.
        subprocess.run([BLOG, "--database-url", url, "migrate"], check=True)
        if not marker.exists():
            subprocess.run([BLOG, "--database-url", url, "seed", "--posts", str(posts)], check=True)
            marker.touch()


class Server:
    """A server on the first processor, with all of its processes."""

    def __init__(self, name, command, port, environment=None):
        self.name, self.port = name, port
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", *map(str, command)],
            env={**os.environ, **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=open(WORK / "server.log", "w"),
            start_new_session=True,
        )
        for _ in range(100):
            try:
                self.get("/")
                return
            except OSError:
                time.sleep(0.1)
        sys.exit(f"{name} did not start: see {WORK / 'server.log'}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()

    def get(self, path):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10).read()

    def pids(self):
        listed = subprocess.run(["ps", "-o", "pid=", "-s", str(self.process.pid)], capture_output=True, text=True)
        return listed.stdout.split()

    def cpu_seconds(self):
        fields = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in self.pids()]
        return sum(int(each[11]) + int(each[12]) for each in fields) / TICKS

    def memory_mib(self):
        rolls = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.pids()]
        return sum(int(re.search(r"^Pss:\s+(\d+)", roll, re.M)[1]) for roll in rolls) / 1024


def ours(posts, cache_mib, port):
    command = [BLOG, "--database-url", f"sqlite:{database(posts)}", "serve", "--plain-http"]
    command += ["--listen", f"127.0.0.1:{port}", "--page-cache-mib", cache_mib]
    return Server("blog", command, port, {"TOKIO_WORKER_THREADS": "1", "RUST_LOG": "warn"})


def django(posts, port):
    # gunicorn's own advice for one processor: two workers for it, and one.
    command = [WORK / "venv/bin/gunicorn", "--chdir", HERE / "django", "--bind", f"127.0.0.1:{port}", "--workers", "3", "--no-control-socket"]
    environment = {"BENCH_DATABASE": str(database(posts)), "PYTHONDONTWRITEBYTECODE": "1"}
    return Server("Django", [*command, "wsgi"], port, environment)


def paths(posts):
    """Lists of paths for each kind of page."""
    with sqlite3.connect(database(posts)) as connection:
        query = "SELECT slug FROM posts WHERE kind = 'post' AND status = 'published' ORDER BY published_at DESC LIMIT 100"
        slugs = [urllib.parse.quote(slug) for (slug,) in connection.execute(query)]
    return {
        "home": ["/"],
        "post": [f"/posts/{slug}" for slug in slugs],
        "search": [f"/search?q={urllib.parse.quote(word)}" for word in WORDS],
        "feed": ["/feed.xml"],
    }


def ask(server, kind, choices):
    """Requests per second, CPU milliseconds per request."""
    for path in choices[:20]:
        server.get(path)
    script = WORK / "paths.lua"
    quoted = ", ".join(f'"{path}"' for path in choices)
    script.write_text(
        f"local paths = {{{quoted}}}\nlocal next = 0\n"
        "request = function()\n  next = next % #paths + 1\n  return wrk.format('GET', paths[next])\nend\n"
    )
    before = server.cpu_seconds()
    command = ["taskset", "-c", "1", "wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "-s", str(script)]
    said = subprocess.run([*command, f"http://127.0.0.1:{server.port}"], capture_output=True, text=True, check=True).stdout
    spent = server.cpu_seconds() - before
    requests = int(re.search(r"(\d+) requests in", said)[1])
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: .*", said)
    if failed and "Non-2xx" in failed[0]:
        sys.exit(f"{server.name} failed on {kind}: {failed[0]}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
    return rate, spent * 1000 / requests


def run(server, posts):
    with server:
        figures = {kind: ask(server, kind, choices) for kind, choices in paths(posts).items()}
        return figures, server.memory_mib()


def measure():
    theirs, their_memory = run(django(SMALL, 18090), SMALL)
    built, built_memory = run(ours(SMALL, 0, 18091), SMALL)
    kept, kept_memory = run(ours(SMALL, 4, 18092), SMALL)
    large, large_memory = run(ours(LARGE, 0, 18093), LARGE)
    print(f"\n{SMALL:,} posts. CPU in ms per request; “built” makes every page anew, “kept” is the default.\n")
    print("| page | Django req/s | CPU | blog, built req/s | CPU | times Django | blog, kept req/s | CPU | times Django |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for kind, (rate, cpu) in theirs.items():
        cells = [f"{rate:,.0f}", f"{cpu:.2f}"]
        for figures in (built, kept):
            cells += [f"{figures[kind][0]:,.0f}", f"{figures[kind][1]:.3f}", f"{figures[kind][0] / rate:,.0f}"]
        print(f"| {kind} | " + " | ".join(cells) + " |")
    print(f"| memory | {their_memory:.0f} MiB | | {built_memory:.0f} MiB | | | {kept_memory:.0f} MiB | | |")
    print(f"\nCPU in ms per request, every page built anew:\n\n| page | {SMALL:,} posts | {LARGE:,} posts |\n|---|--:|--:|")
    for kind in built:
        print(f"| {kind} | {built[kind][1]:.3f} | {large[kind][1]:.3f} |")
    print(f"| memory | {built_memory:.0f} MiB | {large_memory:.0f} MiB |")


if __name__ == "__main__":
    {"prepare": prepare, "measure": measure}.get(sys.argv[1] if len(sys.argv) > 1 else "", lambda: sys.exit(__doc__))()
