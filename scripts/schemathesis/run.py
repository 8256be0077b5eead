"""Asks a running server everything its OpenAPI document allows and much that it does not, as every role.

    run.py --binary keyfold --requests 2000 [--seed 1] [--only admin]

For each role Schemathesis runs with its session and with a management key of its own, each against a server of its own on
a copy of one prepared folder. Each operation in each phase counts as a test; where a check fails the exit code is 1 and
the request that shows it is printed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from running import Failed, Server, add_user, command  # noqa: E402

# Who is in the workspace `acme`: the username is the role.
ROLES = ["viewer", "member", "admin", "owner", "instance_admin"]
PHASES = "examples,coverage,fuzzing,stateful"
# How many requests for each operation the fuzzing begins with.
EXAMPLES = 4
# Operations of the document, roughly: what one more example of each costs.
OPERATIONS = 60


def prepare(binary, folder):
    """Fills a folder with the people, the keys and the things that the roles act on; what the roles need to know of it."""

    def run(*arguments):
        return command(binary, folder, *arguments)

    for name in [*ROLES, "bystander", "outsider"]:
        add_user(binary, folder, name, *(["--instance-admin"] if name == "instance_admin" else []))
    run("workspace", "create", "--slug", "acme", "--name", "Acme", "--owner", "owner")
    run("workspace", "create", "--slug", "zeta", "--name", "Zeta", "--owner", "outsider")
    # A viewer's keys are from better days. A second owner is there so that the first may be anything else.
    for name, role in [("viewer", "member"), ("member", "member"), ("admin", "admin"), ("bystander", "owner"), ("instance_admin", "owner")]:
        run("member", "add", "--workspace", "acme", "--user", name, "--role", role)
    known = {"secrets": {}, "users": {}, "keys": {}}
    for name in ROLES:
        run("resource", "create", "--workspace", "acme", "--kind", "collection", "--id", f"of-{name}", "--name", name, "--owner", name)
        create = ["key", "create", "--workspace", "acme", "--owner", name, "--expires-in", "300 days", "--name"]
        known["secrets"][name] = {
            "management": run(*create, "acting", "--full-access"),
            "data": run(*create, "asking", "--scope", "inference", "--scope", "chat"),
        }
        for number in range(3):
            run(*create, f"spare {number}", "--scope", "inference")
    run("member", "add", "--workspace", "acme", "--user", "viewer", "--role", "viewer")
    run("key", "create", "--workspace", "zeta", "--owner", "outsider", "--name", "foreign", "--scope", "chat")
    rows = json.loads(run("key", "list", "--workspace", "acme", "--json"))
    rows = rows["data"] if isinstance(rows, dict) else rows
    for row in rows:
        known["users"][row["owner"]["username"]] = row["owner"]["id"]
        if row["name"] == "acting":
            known["keys"][row["owner"]["username"]] = row["id"]
    known["spare"] = [row["id"] for row in rows if row["name"].startswith("spare")]
    return known


def toml(value):
    return json.dumps(value)


def write_config(path, known, credentials, headers):
    """Schemathesis's configuration for one role and credential."""
    # Ids are random: without a hint hardly a request would find anything.
    names = {
        "workspace": ["acme"],
        "key": known["spare"],
        "user": list(known["users"].values()),
        "scope": ["chat", "inference", "verify"],
    }
    lines = ["continue-on-failure = true", "[headers]"]
    lines += [f"{toml(name)} = {toml(value)}" for name, value in headers.items()]
    lines += ["[cache]", "enabled = false"]
    for name, values in names.items():
        lines += [f"[dictionaries.{name}]", f"values = {toml(values)}"]
    lines += ["[parameters]"]
    for name in names:
        likely = 0.9 if name == "workspace" else 0.6
        lines += [f'"path.{name}" = {{ dictionary = "{name}", probability = {likely} }}']
    # 400 is also the answer to what only the server can know, like a scope that does not exist.
    lines += ["[checks.positive_data_acceptance]", "enabled = false"]
    lines += ["[checks.missing_required_header]", "expected-statuses = [400, 401, 403, 404, 406, 415]"]
    # A proxy asks with the method that it was asked with, whichever that is. Who is no trusted proxy, as here, hears that and
    # nothing of keys: 403 with a key and without.
    lines += ["[[operations]]", 'include-path-regex = "/forward-auth"', "[operations.checks]"]
    lines += [f"{check}.enabled = false" for check in ("unsupported_method", "missing_required_header")]
    for scheme, (kind, value) in credentials.items():
        lines += [f"[auth.openapi.{scheme}]", f"{kind} = {toml(value)}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Totals:
    """What was seen of one role."""

    def __init__(self):
        self.requests = 0
        self.statuses = {}
        self.passed = 0
        self.failed = 0
        self.output = []

    def add(self, count, junit, done):
        """Adds one run: its counted requests, its report, its end. Each operation in each phase is a test."""
        self.requests += count["requests"]
        for status, times in count["statuses"].items():
            self.statuses[status] = self.statuses.get(status, 0) + times
        failed = 0
        for case in xml.etree.ElementTree.parse(junit).getroot().iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            elif case.find("skipped") is None:
                self.passed += 1
        if done.returncode != 0 and failed == 0:
            failed = 1
        if failed:
            self.failed += failed
            self.output.append(done.stdout + done.stderr)


class Attempt:
    """One role with one credential, against a server of its own."""

    def __init__(self, environment, server, folder, known, role, kind, totals):
        self.environment, self.server, self.folder, self.role, self.totals = environment, server, folder, role, totals
        self.own = {}
        credentials, headers = {}, {}
        if role != "anonymous":
            self.own = {"KEYFOLD_OWN_USER": known["users"][role], "KEYFOLD_OWN_KEY": known["keys"][role]}
            credentials["api_key"] = ("bearer", known["secrets"][role]["data"])
        self.credential = {}
        if kind == "session":
            cookie, value = server.sign_in(role)
            credentials["session"] = ("api_key", value)
            headers["Sec-Fetch-Site"] = "same-origin"
            self.credential = {"Cookie": f"{cookie}={value}"}
        elif kind == "key":
            secret = known["secrets"][role]["management"]
            credentials["management_key"] = ("bearer", secret)
            self.credential = {"Authorization": f"Bearer {secret}"}
        write_config(folder / "schemathesis.toml", known, credentials, headers)

    def ask(self, *arguments):
        """Runs Schemathesis once; how many requests it made."""
        junit, count = self.folder / "junit.xml", self.folder / "count.json"
        for old in (junit, count):
            old.unlink(missing_ok=True)
        done = subprocess.run(
            [
                self.environment / "bin" / "st", "--config-file", self.folder / "schemathesis.toml",
                "run", f"{self.server.url}/v1/openapi.json", "--url", self.server.url, "--workers", "1",
                "--report-junit-path", junit, "--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "30",
                *arguments,
            ],
            capture_output=True, text=True, cwd=self.folder,
            env={
                "PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "COLUMNS": "120",
                "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1",
                "SCHEMATHESIS_HOOKS": "hooks", "KEYFOLD_COUNT_FILE": str(count), **self.own,
            },
        )
        if not count.exists() or not junit.exists():
            raise Failed(f"Schemathesis stopped with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        counted = json.loads(count.read_text(encoding="utf-8"))
        self.totals.add(counted, junit, done)
        status = self.server.status("/v1/workspaces/acme", self.credential) if self.credential else 200
        if status != 200:
            raise Failed(f"the {self.role} lost its rights on the way ({status}), and whatever followed was only refused")
        return counted["requests"]


def try_role(given, environment, template, known, role, keep):
    """All that is asked as one role, with each of its credentials, until it was asked often enough."""
    totals, started = Totals(), time.monotonic()
    kinds = ["none"] if role == "anonymous" else ["session", "key"]
    for kind in kinds:
        folder = Path(tempfile.mkdtemp(prefix=f"{role}-{kind}-", dir=keep))
        shutil.copytree(template / "data", folder / "data")
        # What one actor may ask in a minute is not what is tested here.
        with Server(given.binary, folder, "--management-requests-per-minute", "0") as server:
            attempt = Attempt(environment, server, folder, known, role, kind, totals)
            share, seed = -(-given.requests // len(kinds)), given.seed
            asked = attempt.ask("--phases", PHASES, "--max-examples", str(EXAMPLES), "--seed", str(seed))
            while asked < share:
                seed += 1
                examples = max(EXAMPLES, (share - asked) // OPERATIONS)
                asked += attempt.ask("--phases", "fuzzing", "--max-examples", str(examples), "--seed", str(seed))
    return role, totals, time.monotonic() - started


def report(role, totals, seconds):
    """Prints what was seen of a role."""
    statuses = ", ".join(f"{status}: {times}" for status, times in sorted(totals.statuses.items()))
    print(f"note: {role}: {totals.requests} requests in {seconds:.0f} s ({statuses})")
    for output in totals.output:
        print(output)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=lambda text: Path(text).resolve(), required=True)
    parser.add_argument("--requests", type=int, default=2000, help="for each role, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", choices=["anonymous", *ROLES])
    given = parser.parse_args()
    environment = Path(sys.executable).parent.parent
    keep = Path(tempfile.mkdtemp(prefix="keyfold-schemathesis-"))
    passed = failed = 0
    try:
        template = keep / "template"
        template.mkdir()
        known = prepare(given.binary, template)
        with ThreadPoolExecutor(2) as pool:
            roles = given.only or ["anonymous", *ROLES]
            for task in [pool.submit(try_role, given, environment, template, known, role, keep) for role in roles]:
                role, totals, seconds = task.result()
                report(role, totals, seconds)
                passed += totals.passed
                failed += totals.failed
    finally:
        shutil.rmtree(keep, ignore_errors=True)
    print(f"  {passed} passed")
    if failed:
        print(f"  {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
