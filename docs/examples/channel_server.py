"""Talks to channel_server and prints what is said. Usage: channel_server.py PROGRAM"""

import os
import socket
import subprocess
import sys
import tempfile
import time


def connect(path, server):
    while True:
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(path)
            return s
        except OSError:
            s.close()
            if server.poll() is not None:
                raise
            time.sleep(0.01)


class Peer:
    def __init__(self, name, path, server):
        self.name = name
        self.socket = connect(path, server)
        self.socket.settimeout(60)
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def send(self, *requests):
        for request in requests:
            print(f"{self.name} > {request}")
        self.socket.sendall("".join(r + "\n" for r in requests).encode())

    def hear(self):
        line = self.lines.readline().rstrip("\n")
        print(f"{self.name} < {line}")
        return line

    def ask(self, request):
        self.send(request)
        return self.hear()

    def counts(self):
        self.socket.sendall(b"counts\n")
        return self.lines.readline().rstrip("\n")

    def close(self):
        self.lines.close()
        self.socket.close()


def talk(path, server):
    ann = Peer("ann", path, server)
    ann.ask("square 12")
    ann.ask("square 5000000")
    ann.ask("later 3")
    ann.ask("dance")
    ann.send("square 2", "square 3", "counts")  # one after the other, in their order
    for _ in range(3):
        ann.hear()

    # Bob goes away while his job waits: it runs all the same, and nobody is told.
    ann.ask("pause")
    bob = Peer("bob", path, server)
    bob.send("square 4")
    while "enqueued 6" not in ann.counts():
        time.sleep(0.01)
    bob.close()
    print("bob hangs up")
    while "forgotten 1" not in ann.counts():
        time.sleep(0.01)
    ann.ask("resume")
    ann.ask("square 5")
    ann.ask("counts")
    ann.ask("stop")
    ann.close()


with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, "socket")
    with subprocess.Popen([sys.argv[1], path]) as server:
        try:
            talk(path, server)
        except BaseException:
            server.kill()
            raise
    sys.exit(server.returncode)
