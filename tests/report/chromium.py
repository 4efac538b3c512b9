# SPDX-License-Identifier: BSD-3-Clause
"""A page in headless Chromium, spoken to over the pipe of its DevTools protocol: no port, no driver, no package."""
import base64
import json
import os
import pathlib
import shutil
import subprocess


class Chromium:
    """`checks` is a file of JavaScript whose functions every page has."""

    def __init__(self, profile, checks):
        program = shutil.which("chromium")
        if not program:
            raise SystemExit("chromium is not there: cmake/setup.sh all installs it")
        self.checks = pathlib.Path(checks).read_text()
        to_browser, self.out = os.pipe()
        self.into, from_browser = os.pipe()

        def take_3_and_4():  # in the child: where Chromium reads and writes
            spare = [os.dup(to_browser), os.dup(from_browser)]
            if min(spare) <= 4:
                spare = [os.dup(fd) for fd in spare]
            os.dup2(spare[0], 3)
            os.dup2(spare[1], 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
             f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=take_3_and_4, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.count, self.session = b"", 0, None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.session = None
            self.ask("Browser.close")
        finally:
            self.process.wait()

    def message(self):
        while b"\0" not in self.buffer:
            more = os.read(self.into, 1 << 20)
            if not more:
                raise RuntimeError("chromium has gone")
            self.buffer += more
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def ask(self, method, **parameters):
        self.count += 1
        question = dict(id=self.count, method=method, params=parameters)
        if self.session:
            question["sessionId"] = self.session
        data = json.dumps(question).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        while True:
            answer = self.message()
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def open(self, path):
        self.ask("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        while self.message().get("method") != "Page.loadEventFired":
            pass
        self.run(self.checks + "; 0")

    def show(self, width, scheme):
        """`scheme`: light, dark, or print."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        media = "print" if scheme == "print" else "screen"
        self.ask("Emulation.setEmulatedMedia", media=media,
                 features=[dict(name="prefers-color-scheme", value="light" if scheme == "light" else "dark")])

    def run(self, script):
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", "script failed"))
        return answer["result"].get("value")

    def screenshot(self, path):
        data = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))
