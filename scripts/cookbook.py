"""Runs docs/cookbook.md: every block of shell and of Python, in their order, against a server started for it.

    cookbook.py BINARY

A block of text after a block of code is what that prints; `…` in it stands for anything without a space. A block that
fails, or prints something else, fails the run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.dont_write_bytecode = True
from running import PASSWORD, Failed, Server, add_user, command  # noqa: E402

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cookbook.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Between the outputs of two blocks.
BORDER = "\x1e"


class Block:
    def __init__(self, language, code, heading):
        self.language, self.code, self.heading, self.expected = language, code, heading, ""

    def agrees(self, printed):
        pattern = r"\S+".join(map(re.escape, self.expected.strip("\n").split("…")))
        return re.fullmatch(pattern, printed.strip("\n")) is not None


def blocks(page):
    """The blocks of the page, each with what it prints."""
    found = []
    for match in FENCE.finditer(page):
        language, text = match.groups()
        if language == "text":
            if not found or found[-1].expected:
                raise Failed("a block of text follows no block of code:\n" + text)
            found[-1].expected = text
        elif language in ("sh", "python"):
            headings = re.findall(r"^#+ (.*)$", page[: match.start()], re.MULTILINE)
            found.append(Block(language, text, headings[-1]))
        else:
            raise Failed(f"nobody runs a block of {language!r}")
    return found


# Runs blocks of Python as one program: each comes as a line of JSON.
PYTHON = f"""
import json, sys
names = {{"__name__": "__main__"}}
for line in sys.stdin:
    exec(compile(json.loads(line), "docs/cookbook.md", "exec"), names)
    print({BORDER!r}, end="", flush=True)
"""
# For all blocks together, in seconds.
PATIENCE = 300


class Reader:
    """A shell or a Python that is given the page's blocks one by one."""

    def __init__(self, language, folder, environment):
        self.language = language
        self.stderr = open(folder / f"{language}.stderr", "w+", encoding="utf-8")
        program = ["bash", "-s"] if language == "sh" else [sys.executable, "-u", "-c", PYTHON]
        self.process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.stderr, text=True, cwd=folder, env=environment
        )
        self.watchdog = threading.Timer(PATIENCE, self.process.kill)
        self.watchdog.daemon = True
        self.watchdog.start()
        if language == "sh":
            self.process.stdin.write("set -euo pipefail\n")

    def run(self, code):
        """What the block prints, and whether it came to its end."""
        if self.language == "sh":
            # In braces, so that no command of it reads the blocks that follow.
            text = f"{{\n{code}\n}} </dev/null\nprintf '{BORDER}'\n"
        else:
            text = json.dumps(code) + "\n"
        try:
            self.process.stdin.write(text)
            self.process.stdin.flush()
        except BrokenPipeError:
            return "", False
        printed = ""
        while letter := self.process.stdout.read(1):
            if letter == BORDER:
                return printed, True
            printed += letter
        return printed, False

    def end(self):
        """What it said on standard error."""
        self.watchdog.cancel()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
        self.process.wait()
        self.stderr.seek(0)
        with self.stderr as stderr:
            return stderr.read()


def main(binary):
    folder = Path(tempfile.mkdtemp(prefix="keyfold-cookbook-"))
    try:
        return cook(binary, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cook(binary, folder):
    add_user(binary, folder, "ada")
    command(binary, folder, "workspace", "create", "--slug", "acme", "--name", "Acme", "--owner", "ada")
    (folder / "password.txt").write_text(PASSWORD, encoding="utf-8")
    (folder / "bin").mkdir()
    (folder / "bin" / "keyfold").symlink_to(binary)
    passed = failed = 0
    with Server(binary, folder) as server:
        environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "KEYFOLD": server.url,
            "KEYFOLD_DATA_DIR": str(folder / "data"),
        }
        page = blocks(PAGE.read_text(encoding="utf-8"))
        # The keys that the shell makes first are Python's too.
        page[0].code += 'printf "%s %s" "$MANAGER" "$SERVICE" > keys\n'
        readers = {}
        for block in page:
            if block.language not in readers:
                if (folder / "keys").exists():
                    manager, service = (folder / "keys").read_text(encoding="utf-8").split()
                    environment |= {"MANAGER": manager, "SERVICE": service}
                readers[block.language] = Reader(block.language, folder, environment)
            printed, whole = readers[block.language].run(block.code)
            if whole and block.agrees(printed):
                passed += 1
                continue
            failed += 1
            happened = "prints something else" if whole else "fails"
            print(f"--- {block.heading}: a block of {block.language} {happened}\n{block.code}")
            print(f"--- printed:\n{printed}\n--- the page says:\n{block.expected}")
            if not whole:
                break
        for language, reader in readers.items():
            said = reader.end()
            if failed:
                print(f"--- standard error of {language}:\n{said}")
    if not failed and passed != len(page):
        failed += 1
    print(f"  {passed} passed")
    if failed:
        print(f"  {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
