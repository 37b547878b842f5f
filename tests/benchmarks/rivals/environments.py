"""Virtual environments for the rivals, whose pins go neither with skmi's nor with each other's.

``python environments.py RIVAL FOLDER`` makes the one of a rival and prints its interpreter.
"""

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PIP_OPTIONS = {"torch-mist": [], "benchmark-mi": ["--no-deps"]}


def python_of(rival: str, root: Path) -> Path:
    """Return the interpreter of ``rival``, installing it in a folder of ``root`` if need be.

    The installation is made once, and again when the requirements of the rival have changed or
    the last installation did not finish. Two processes should not make the same one at once.
    """
    if rival not in PIP_OPTIONS:
        raise ValueError(f"rival must be one of {', '.join(PIP_OPTIONS)}, got {rival!r}")
    requirements = HERE / f"requirements-{rival}.txt"
    folder = Path(root).resolve() / rival
    python = folder / "bin" / "python"
    installed = folder / "installed.txt"
    if installed.exists() and installed.read_text() == requirements.read_text():
        return python
    if sys.version_info[:2] != (3, 11):
        raise RuntimeError("the rivals are pinned for Python 3.11; make their environments with it")
    venv.create(folder, clear=True, symlinks=True, with_pip=True)
    pip = [python, "-m", "pip", "install", "--quiet", *PIP_OPTIONS[rival], "-r", requirements]
    subprocess.run(pip, check=True)
    installed.write_text(requirements.read_text())
    return python


if __name__ == "__main__":
    print(python_of(sys.argv[1], Path(sys.argv[2])))
