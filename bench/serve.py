"""How near a server with many single-image requests comes to `predict` on a folder, alternating in one run.

python bench/serve.py [--rounds 5] [--images 512] [--size 128] [--clients 48] [--views none] [--folds 1]

The server is a process of its own; the client sends prepared bytes over kept connections of the loopback, so many at a
time. All three (server, client, predict) share this machine's cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from PIL import Image

import holotype

SOURCE = Path(holotype.__file__).parents[1]


def finished_run(place: Path, size: int, views: str, folds: int) -> Path:
    """A run of untrained importance: one epoch of efficientnet_lite0 on a few drawn photographs."""
    random = np.random.default_rng(1)
    (place / "images").mkdir()
    names = [f"i{number}" for number in range(24)]
    for name in names:
        _draw(random, size).save(place / "images" / f"{name}.png")
    pl.DataFrame({"id": names, "label": ["a", "b", "c"] * 8}).write_csv(place / "train.csv")
    recipe = {
        "name": "bench",
        "run": {"device": "cpu", "workers": 0},
        "data": {"train": "train.csv", "images": "images/{id}.png"},
        "split": {"folds": max(folds, 2), "folds_to_train": list(range(folds))},
        "models": [
            {
                "name": "main",
                "weights": "none",
                "input": {"size": size},
                "predict": {"tta": views},
                "phases": [{"epochs": 1, "lr": 0.001}],
            }
        ],
    }
    (place / "recipe.yaml").write_text(json.dumps(recipe))
    return holotype.run(place / "recipe.yaml").folder.root


def _draw(random: np.random.Generator, size: int) -> Image.Image:
    small = random.integers(0, 255, (size // 8, size // 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)


class Client:
    """Sends each body once, over a number of connections, and notes how long each took."""

    def __init__(self, address: tuple[str, int], bodies: list[bytes], connections: int, query: str) -> None:
        head = f"POST /predict{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        self.requests = [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
        self.sockets = [socket.create_connection(address) for _ in range(connections)]
        for one in self.sockets:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> tuple[float, list[float]]:
        """Send all of them, and give the seconds that it took and those of each."""
        waiting, times = iter(list(enumerate(self.requests))), [0.0] * len(self.requests)
        lock = threading.Lock()

        def work(connection: socket.socket) -> None:
            while True:
                with lock:
                    number, request = next(waiting, (-1, b""))
                if number < 0:
                    return
                began = time.perf_counter()
                connection.sendall(request)
                if not _answer(connection).startswith(b"HTTP/1.1 200"):
                    raise RuntimeError("the server refused an image")
                times[number] = time.perf_counter() - began

        threads = [threading.Thread(target=work, args=(one,)) for one in self.sockets]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began, times


def _answer(connection: socket.socket) -> bytes:
    held = b""
    while b"\r\n\r\n" not in held:
        held += connection.recv(65536)
    head, _, body = held.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head)[1])
    while len(body) < length:
        body += connection.recv(65536)
    return head


def spent(process: int | str = "self") -> float:
    """Seconds of computation that a process has had: what a machine that others use as well does not blur."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spent_by_all(process: int) -> float:
    """The same of a process and of those that it has started: a server decodes in processes of their own."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = {process}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(spent(one) for one in family)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("rounds", 5), ("images", 512), ("size", 128), ("clients", 48), ("folds", 1), ("nearest", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--views", default="none")
    parser.add_argument("--limit", action="append", default=[])
    given = parser.parse_args()
    with TemporaryDirectory() as temporary:
        place = Path(temporary)
        run = finished_run(place, given.size, given.views, given.folds)
        random = np.random.default_rng(2)
        (place / "new").mkdir()
        bodies = []
        for number in range(given.images):
            file = place / "new" / f"n{number}.png"
            _draw(random, given.size).save(file)
            head = f'--x\r\nContent-Disposition: form-data; name="images"; filename="{file.name}"\r\n\r\n'
            bodies.append(head.encode() + file.read_bytes() + b"\r\n--x--\r\n")
        environment = os.environ | {"PYTHONPATH": str(SOURCE)}
        limits = [part for one in given.limit for part in ("--limit", one)]
        call = [sys.executable, "-m", "holotype.cli.main", "serve", str(run), "--port", "0", *limits]
        server = subprocess.Popen(call, stderr=subprocess.PIPE, text=True, env=environment)
        try:
            port = int(re.search(r":(\d+)/", server.stderr.readline())[1])
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
                        if b"being made" not in answer.read():
                            break
                except OSError:
                    pass
                time.sleep(0.1)
            client = Client(("127.0.0.1", port), bodies, given.clients, f"?nearest={given.nearest}")
            alone = Client(("127.0.0.1", port), bodies[:64], 1, f"?nearest={given.nearest}")
            opened = holotype.open_run(run, held=True)  # the most favourable: `predict` reads its networks once, too

            def predicted() -> float:
                began = time.perf_counter()
                opened.predict(place / "new")
                return time.perf_counter() - began

            predicted(), client.run()
            ratios, work, waits, single = [], [], [], []
            for _ in range(given.rounds):
                before = spent_by_all(server.pid)
                ours, times = client.run()
                between, own = spent_by_all(server.pid), spent()
                theirs = predicted()
                ratios.append(theirs / ours)
                work.append((spent() - own) / (between - before))
                waits += times
                each = [seconds / given.images * 1e3 for seconds in (between - before, spent() - own)]
                print(
                    f"  served {given.images / ours:.0f}/s, predict {given.images / theirs:.0f}/s; computation "
                    f"{each[0]:.1f} ms and {each[1]:.1f} ms an image",
                    flush=True,
                )
                single += alone.run()[1]
            low, high = np.percentile(waits, [50, 99])
            one, worst = np.percentile(single, [50, 99])
            form = f"{given.size} px, {given.folds} network(s), views {given.views}"
            print(
                f"{form}: {given.clients} callers of one image each get {median(ratios):.2f} of predict's images a "
                f"second (by seconds of computation, without the client's: {median(work):.2f})"
            )
            print(
                f"p50 {low * 1e3:.0f} ms, p99 {high * 1e3:.0f} ms; a lone caller p50 {one * 1e3:.0f} ms, "
                f"p99 {worst * 1e3:.0f} ms"
            )
        finally:
            server.terminate()
            server.wait(60)
