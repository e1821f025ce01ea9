"""What the Makefile has to know about hosts, the distributions that own the package `fairseq`.

python constraints/host.py choose [NAME]   print the host for this Python and machine; NAME, if it
                                           is one for them
python constraints/host.py needs NAME      print what the installed host asks for, one a line

It runs in environments that hold nothing else yet.
"""

import platform
import sys
from importlib.metadata import requires
from typing import List, Sequence, Tuple

# Hosts ask for torchaudio and never need it for speech-to-text; where it doesn't fit torch, it
# breaks imports, so it isn't even downloaded.
UNWANTED = "torchaudio"


def hosts(python: Tuple[int, int], system: str, machine: str) -> Sequence[str]:
    """Return the hosts that can be installed, the one to take first."""
    if python < (3, 11):
        return ["fairseq"]
    if python < (3, 13) and (system, machine) == ("linux", "x86_64"):
        return ["ve-fairseq", "fairseq-fixed"]
    return ["fairseq-fixed"]


def choose(name: str) -> str:
    """Return the named host, or the first where none is named."""
    python = sys.version_info[:2]
    known = hosts(python, sys.platform, platform.machine())
    if name and name not in known:
        sys.exit(
            f"host.py: HOST={name} isn't a host for Python {python[0]}.{python[1]} here, "
            f"but: {', '.join(known)}"
        )
    return name or known[0]


def needs(name: str) -> List[str]:
    """Return the requirements of an installed host."""
    asked = [one for one in requires(name) or [] if "extra ==" not in one]
    return [one for one in asked if not one.startswith(UNWANTED)]


if __name__ == "__main__":
    verb, name = (*sys.argv[1:], "")[:2]
    lines = needs(name) if verb == "needs" else [choose(name)]
    sys.stdout.write("\n".join(lines) + "\n")
