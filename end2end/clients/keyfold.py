"""A real Keyfold for the tests of real clients: the program, with a data folder and a port of its own, set up at the command
line. Nothing but the standard library, because each client brings an environment of its own."""

import contextlib
import json
import os
import re
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

PASSWORD = "four engines hum below the moon"
SECRET = re.compile(r"\bkf_(?:sec|pub|adm)_[0-9A-Za-z]{49}\b")


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the cookie is in the answer itself."""

    def redirect_request(self, *_):
        return None


class Keyfold:
    """A server with the workspace acme: ada owns it, bob and carol belong to it, bob has the collection contracts."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="keyfold-clients-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = Path(self._folder.name, "log")
        self._environment = {
            "PATH": os.environ["PATH"],
            "KEYFOLD_ADDR": f"127.0.0.1:{self.port}",
            "KEYFOLD_DATA_DIR": str(Path(self._folder.name, "data")),
            "KEYFOLD_SHUTDOWN_DELAY_SECONDS": "0",
            "KEYFOLD_LOG_LEVEL": "debug",
        }
        self._program = os.environ["KEYFOLD_BIN"]
        self._process = None
        self._cookie = None
        for name, more in (("ada", ["--instance-admin"]), ("bob", []), ("carol", [])):
            person = ["--username", name, "--email", f"{name}@example.com"]
            self.cli("user", "create", *person, *more, "--password-stdin", stdin=PASSWORD)
        self.cli("workspace", "create", "--slug", "acme", "--name", "Acme", "--owner", "ada")
        for name in ("bob", "carol"):
            self.cli("member", "add", "--workspace", "acme", "--user", name, "--role", "member")
        for owner, collection in (("bob", "contracts"), ("carol", "letters")):
            self.cli("resource", "create", "--workspace", "acme", "--kind", "collection", "--id", collection,
                     "--name", collection.title(), "--owner", owner)
        # What an administrator's script holds, one without end and one that may do nothing about keys.
        self.admin_key = self.key("ada", "--full-access", "--expires-in", "never")
        self.member_key = self.key("bob", "--full-access")
        self.data_key = self.key("bob", "--scope", "chat")
        self._start()

    def cli(self, *arguments, stdin=None):
        """What a command prints. It must succeed."""
        done = subprocess.run([self._program, *arguments], env=self._environment, cwd=self._folder.name, input=stdin,
                              capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise AssertionError(f"{arguments}: {done.stderr}")
        return done.stdout.strip()

    def key(self, owner, *more):
        """What the command line prints of a new key: its secret. The server knows it by then, if there is one."""
        made = self.cli("key", "create", "--workspace", "acme", "--owner", owner, "--name", f"made for {owner}", *more)
        if self._process is not None:
            self.until(SECRET.search(made).group(), lambda code: code != "not_found")
        return made

    def user_id(self, username):
        """The id of a user, as an administrator sees it."""
        request = urllib.request.Request(f"{self.url}/v1/workspaces/acme/members", None, {"Authorization": f"Bearer {self.admin_key}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return next(member["user"]["id"] for member in json.load(answer)["data"] if member["user"]["username"] == username)

    def as_ada(self, method, path, body=None):
        """What ada gets for a request of her own, in a session: what no key may do."""
        if self._cookie is None:
            form = urllib.parse.urlencode({"login": "ada", "password": PASSWORD}).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
            request = urllib.request.Request(f"{self.url}/_app/sign_in", form, headers)
            try:
                signed_in = urllib.request.build_opener(Stay).open(request, timeout=10)
            except urllib.error.HTTPError as answer:
                signed_in = answer
            self._cookie = signed_in.headers["Set-Cookie"].split(";")[0]
        headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin", "Cookie": self._cookie}
        text = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, text, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    @contextlib.contextmanager
    def at_most(self, keys):
        """For as long as it lasts, nobody in acme may have more keys than that."""
        path = "/v1/workspaces/acme/policy"
        rules = self.as_ada("GET", path)["rules"]
        self.as_ada("PUT", path, {"rules": {**rules, "max_live_per_user": keys}})
        try:
            yield
        finally:
            self.as_ada("PUT", path, {"rules": rules})

    def _start(self):
        with self.log_path.open("w") as log:
            self._process = subprocess.Popen([self._program, "serve"], env=self._environment, cwd=self._folder.name,
                                             stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"the server did not start:\n{self.log_path.read_text()}")

    def until(self, secret, known):
        """Waits until the server knows what was done at the command line beside it. Spends nothing of the key's limits."""
        deadline = time.monotonic() + 20
        while not known(code := self.verify(secret, cost=0)):
            assert time.monotonic() < deadline, code
            time.sleep(0.05)

    def verify(self, secret, scope=None, resource=None, cost=None):
        """The code that a service is told of a key."""
        more = {"scope": scope, "resource": resource, "cost": cost}
        question = {"key": secret, **{name: value for name, value in more.items() if value is not None}}
        request = urllib.request.Request(f"{self.url}/v1/verify", json.dumps(question).encode(), {
            "Authorization": f"Bearer {self.admin_key}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["code"]

    def stop(self):
        """Ends the server, and looks through what it logged."""
        self._process.terminate()
        self._process.wait(30)
        log = self.log_path.read_text()
        self._folder.cleanup()
        if "ERROR" in log or "panicked" in log:
            raise AssertionError(f"the server logged a fault:\n{log}")
        if SECRET.search(log):
            raise AssertionError("a secret is in the log")


class WithKeyfold:
    """Gives a class of tests a server of its own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = Keyfold()
        cls.addClassCleanup(cls.server.stop)


class KeyfoldCase(WithKeyfold, unittest.TestCase):
    """Tests of one class share a server."""


class AsyncKeyfoldCase(WithKeyfold, unittest.IsolatedAsyncioTestCase):
    """The same for clients that are awaited."""
