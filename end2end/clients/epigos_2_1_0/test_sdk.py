"""The EPIGOS AI client, unmodified, against a platform of its shapes behind a real nginx that asks Keyfold."""

import contextlib
import http.server
import json
import os
import re
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import keyfold
from epigos import Epigos
from epigos.exceptions import EpigosException
from PIL import Image

CLASSIFIED = {"category": "cat", "confidence": 0.85, "predictions": [{"category": "cat", "confidence": 0.85}]}
DETECTED = {
    "detections": [{"label": "car", "confidence": 0.95, "x": 1, "y": 2, "width": 3, "height": 4}], "image": None, "labelsCount": [],
}
# As keys are written, and never made.
UNKNOWN = f"kf_sec_{'0' * 43}1GU1LX"
PROJECT = {"id": "p", "name": "n", "workspaceId": "w", "projectType": "classification"}


class Platform(http.server.ThreadingHTTPServer):
    """What EPIGOS AI answers, and a list of what it was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Asked)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, path):
        if path.startswith("/predict/classify/"):
            return CLASSIFIED
        if path.startswith("/predict/detect/"):
            return DETECTED
        if path == "/projects/p/":
            return PROJECT
        if path.endswith("/upload/"):
            return {"uploadUrl": f"{self.url}/stored", "uri": "s3://cat.jpg"}
        if path.endswith("/labels/"):
            return [{"name": "cat", "id": "l1"}]
        if path.endswith("/annotations/"):
            return [{"id": "a1"}]
        return {"id": "b1"}


class Asked(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def respond(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, dict(self.headers.items()), body))
        text = json.dumps(self.server.answer(self.path)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = respond

    def log_message(self, *_):
        pass


class Keyfold(keyfold.Keyfold):
    """A server that trusts the proxy on its own machine, with the route map for EPIGOS AI."""

    def _start(self):
        self._environment["KEYFOLD_TRUSTED_PROXIES"] = "127.0.0.1"
        # No key is made with an end nearer than a minute: one is, and its end is brought forward before anybody reads it.
        self.expired = self.key("bob", "--scope", "inference", "--expires-in", "2 minutes")
        with contextlib.closing(sqlite3.connect(Path(self._folder.name, "data", "keyfold.db"))) as database:
            changed = database.execute("UPDATE keys SET expires_at = created_at + 1 WHERE expires_at <= created_at + 120000")
            assert changed.rowcount == 1, changed.rowcount
            database.commit()
        super()._start()
        assert self.as_ada("PUT", "/v1/workspaces/acme/routes", {"preset": "epigos"})["source"] == "preset:epigos"

    def made(self, *more):
        """The id and the secret of a new Inference key."""
        made = json.loads(self.key("bob", "--scope", "inference", "--json", *more))
        return made["id"], made["secret"]


class Nginx:
    """nginx with the configuration that Keyfold prints."""

    def __init__(self, server, platform):
        program = dict(pair.split("=") for pair in os.environ["TEST_PROXIES"].split())["nginx"]
        self._folder = tempfile.TemporaryDirectory(prefix="keyfold-nginx-")
        folder = self._folder.name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        printed = server.cli("proxy-config", "--proxy", "nginx", "--workspace", "acme", "--upstream", platform.url,
                             "--keyfold", server.url, "--listen", f"127.0.0.1:{port}")
        Path(folder, "keyfold.conf").write_text(printed + "\n")
        kept = " ".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        Path(folder, "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{ }}\n"
            f"http {{ access_log {folder}/access.log; {kept} include {folder}/keyfold.conf; }}\n")
        self._process = subprocess.Popen([program, "-p", folder, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"])
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(Path(folder, "error.log").read_text()) from None
                time.sleep(0.05)

    def stop(self):
        self._process.terminate()
        self._process.wait(20)
        self._folder.cleanup()


class Client(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Keyfold()
        cls.addClassCleanup(cls.server.stop)
        cls.platform = Platform()
        cls.addClassCleanup(cls.platform.shutdown)
        cls.nginx = Nginx(cls.server, cls.platform)
        cls.addClassCleanup(cls.nginx.stop)
        cls.inference = cls.server.key("bob", "--scope", "inference")
        cls.project = cls.server.key("bob", "--scope", "project")
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.image = str(Path(cls.folder.name, "cat.jpg"))
        # Some megabytes as base64, as photographs are.
        Image.effect_noise((1600, 1600), 90).convert("RGB").save(cls.image, quality=95)

    def setUp(self):
        self.platform.asked.clear()

    def client(self, key):
        return Epigos(api_key=key, base_url=self.nginx.url, retries=1)

    def refused(self, act, status):
        """What the client makes of a refusal, which the platform never sees."""
        with self.assertRaises(EpigosException) as caught:
            act()
        self.assertEqual(caught.exception.status_code, status)
        self.assertEqual(self.platform.asked, [])
        return caught.exception

    def test_an_inference_key_predicts_and_does_nothing_else(self):
        client = self.client(self.inference)
        found = client.classification("m").predict(self.image)
        self.assertEqual((found.category, found.confidence), ("cat", 0.85))
        self.assertEqual(client.object_detection("m").detect(self.image).detections[0]["label"], "car")
        self.assertEqual([path for _, path, _, _ in self.platform.asked], ["/predict/classify/m/", "/predict/detect/m/"])
        self.assertGreater(len(self.platform.asked[0][3]), 1_000_000)
        self.platform.asked.clear()
        refusal = self.refused(lambda: client.project("p"), 403)
        self.assertEqual(refusal.details, [{"reason": "missing_scope", "required_scope": "project"}])
        self.assertIn("does not hold the scope", str(refusal))

    def test_a_project_key_works_with_projects_and_predicts(self):
        client = self.client(self.project)
        project = client.project("p")
        self.assertEqual((project.name, project.workspace_id), ("n", "w"))
        record = project.upload(self.image, annotation_path="cat")
        self.assertEqual((record["id"], record["annotations"]), ("b1", [{"id": "a1"}]))
        self.assertEqual(client.classification("m").predict(self.image).category, "cat")
        paths = [path for _, path, _, _ in self.platform.asked]
        for path in ("/projects/p/", "/projects/p/batches/", "/projects/p/upload/", "/projects/p/datasets/records/",
                     "/projects/p/annotations/labels/", "/projects/p/annotations/", "/predict/classify/m/"):
            self.assertIn(path, paths)

    def predicts(self, key):
        return lambda: self.client(key).classification("m").predict(self.image)

    def test_a_key_that_does_not_work_is_told_why(self):
        stopped_id, stopped = self.server.made()
        deleted_id, deleted = self.server.made()
        for key in (stopped, deleted):
            self.assertEqual(self.predicts(key)().category, "cat")
        self.server.cli("key", "deactivate", "--workspace", "acme", stopped_id)
        self.server.cli("key", "delete", "--workspace", "acme", deleted_id)
        self.server.until(stopped, lambda code: code == "deactivated")
        self.server.until(deleted, lambda code: code == "not_found")
        self.platform.asked.clear()
        for key, status, reason in (
            ("api_key_1234567890", 401, "malformed"),
            (UNKNOWN, 401, "not_found"),
            (deleted, 401, "not_found"),
            (self.server.expired, 401, "expired"),
            (stopped, 401, "deactivated"),
            (self.server.key("bob", "--scope", "chat"), 403, "missing_scope"),
        ):
            with self.subTest(reason):
                refusal = self.refused(self.predicts(key), status)
                self.assertEqual(refusal.details[0]["reason"], reason)
                self.assertNotIn(key, str(refusal))

    def test_a_key_that_was_used_up_is_told_to_wait_and_not_tried_again(self):
        _, key = self.server.made("--limit", "burst=1/3600")
        self.assertEqual(self.predicts(key)().category, "cat")
        self.platform.asked.clear()
        refusal = self.refused(self.predicts(key), 429)
        self.assertEqual(refusal.details, [{"reason": "rate_limited"}])
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(f"{self.nginx.url}/predict/classify/m/", b"{}", {"X-Api-Key": key}), timeout=10)
        headers = caught.exception.headers
        self.assertTrue(1 <= int(headers["Retry-After"]) <= 3600, headers)
        self.assertRegex(headers["RateLimit"], r'^"burst";r=0;t=\d+$')
        self.assertEqual(headers["RateLimit-Policy"], '"burst";q=1;w=3600')
        caught.exception.close()

    def test_the_platform_is_told_who_it_is_and_never_sees_the_key(self):
        self.client(self.inference).classification("m").predict(self.image)
        _, _, headers, body = self.platform.asked[0]
        self.assertEqual((headers["Keyfold-Owner"], headers["Keyfold-Workspace"]), ("bob", "acme"))
        self.assertTrue(re.fullmatch(r"key_[0-9A-Za-z]{22}", headers["Keyfold-Key"]))
        self.assertEqual(headers["X-Client-Sdk"], "Epigos-SDK/Python; Version: 2.1.0")
        self.assertNotIn(self.inference, str(headers) + body.decode())
        self.assertNotIn("X-Api-Key", headers)


if __name__ == "__main__":
    unittest.main()
