"""A Keyfold of its own for a test: its commands, and a server on a free port of 127.0.0.1. Used by the stages in Python."""

import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

PASSWORD = "a quiet walk by the river"
# How long a server may take to start or to end, in seconds.
PATIENCE = 60


class Failed(Exception):
    """The stage itself could not do its work."""


def command(binary, folder, *arguments, given=None):
    """The standard output of a command of the program on the data in that folder."""
    done = subprocess.run(
        [binary, *arguments, "--data-dir", folder / "data"], input=given, capture_output=True, text=True, env={}, cwd=folder
    )
    if done.returncode != 0:
        raise Failed(f"keyfold {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()


def add_user(binary, folder, name, *more):
    """Somebody who can sign in with PASSWORD."""
    person = ["user", "create", "--email", f"{name}@example.com", "--username", name, "--password-stdin", *more]
    command(binary, folder, *person, given=PASSWORD + "\n")


class Server:
    """A server on the data in that folder, running within a `with`. Its address is in `url`."""

    def __init__(self, binary, folder, *settings):
        self.log = folder / "server.log"
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [binary, "serve", "--addr", "127.0.0.1:0", "--data-dir", folder / "data", "--shutdown-delay-seconds", "0", *settings],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env={}, cwd=folder,
            )

    def __enter__(self):
        begun = time.monotonic()
        while self.process.poll() is None and time.monotonic() - begun < PATIENCE:
            ready = [line for line in self.said().splitlines() if "is ready" in line]
            if ready:
                self.url = "http://127.0.0.1:" + ready[0].split("http://127.0.0.1:")[1].split()[0].strip("/.,;\"")
                return self
            time.sleep(0.05)
        self.__exit__()
        raise Failed("the server did not start: " + self.said())

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def said(self):
        return Path(self.log).read_text(encoding="utf-8", errors="replace")

    def status(self, path, headers):
        """The status that a GET with these headers is answered with."""
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers), timeout=PATIENCE) as answer:
                return answer.status
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code

    def sign_in(self, name):
        """Name and value of the cookie of a new session."""
        form = urllib.parse.urlencode({"login": name, "password": PASSWORD}).encode()
        request = urllib.request.Request(self.url + "/_app/sign_in", headers={"Sec-Fetch-Site": "same-origin"}, data=form)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            for line in answer.headers.get_all("set-cookie") or []:
                cookie, _, value = line.split(";")[0].partition("=")
                if cookie.endswith("kf_session"):
                    return cookie, value
        raise Failed("signing in gave no cookie")
