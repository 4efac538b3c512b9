# SPDX-License-Identifier: BSD-3-Clause
"""docs.py ROOT: every code block of plugins/README.md that follows <!-- FILE --> is a run of lines of that file (with the template's names, my_plugin, as
my_loss and @KIND@ as loss), and every cpp, cmake and python block follows one."""
import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
text = (root / "plugins/README.md").read_text()
failed = checked = 0
for match in re.finditer(r"(?:<!-- (\S+) -->\n)?```(\w+)\n(.*?)```\n", text, re.S):
    file, language, block = match.groups()
    line = text[: match.start()].count("\n") + 1
    if file is None:
        if language in ("cpp", "cmake", "python"):
            print(f"plugins/README.md:{line}: a {language} block that names no file")
            failed += 1
        continue
    source = (root / file).read_text().replace("my_plugin", "my_loss").replace("MyPlugin", "MyLoss").replace("@KIND@", "loss")
    checked += 1

    def squeezed(code):  # alignment moves with the length of a name
        return "\n".join(" ".join(line.split()) for line in code.strip().splitlines()) + "\n"

    if squeezed(block) not in squeezed(source):
        print(f"plugins/README.md:{line}: this block is not in {file}")
        failed += 1
if checked < 9:
    print(f"only {checked} blocks with a file were found")
    failed += 1
sys.exit(failed > 0)
