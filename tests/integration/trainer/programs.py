"""Programs of these tests that import torch in a process of their own, and print what they saw."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def run_program(name: str, *arguments: str, **environment: str) -> Any:
    """Run the program `name` of this folder, and return the JSON of the last line it prints."""
    output = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(name)), *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    return json.loads(output.splitlines()[-1])
