"""The script that downloads the packages, with an apt-get that the test makes."""

import os
import subprocess
from pathlib import Path

import pytest

from fairseq_gist.corpora.people.packages import KNOWN

SCRIPT = Path(__file__).parents[4] / "examples" / "people" / "fetch.sh"
APT = """\
#!/bin/sh
# what apt-get download does: a file of the package in this folder
[ "$1" = download ] || exit 2
echo "$2" >> "$ASKED"
name=${2%%=*}
case $2 in *"$UNKNOWN"*) echo "E: Version was not found" >&2; exit 100;; esac
echo content > "${name}_${2##*=}_all.deb"
"""


@pytest.fixture
def fetch(tmp_path):
    """Run the script in a folder of its own; gives the process, and what apt-get was asked for."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "apt-get").write_text(APT, encoding="utf-8")
    (tools / "apt-get").chmod(0o755)
    (tools / "apt-cache").write_text('#!/bin/sh\necho "$2 | 7.7 | somewhere"\n', encoding="utf-8")
    (tools / "apt-cache").chmod(0o755)

    def run(*options, unknown="nothing of it"):
        asked = tmp_path / "asked"
        asked.write_text("", encoding="utf-8")
        path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "ASKED": str(asked), "UNKNOWN": unknown}
        command = ["bash", str(SCRIPT), *options]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
        )
        return done, asked.read_text(encoding="utf-8").split()

    return run


def test_every_package_is_asked_for_by_its_version_and_checked(fetch, tmp_path):
    done, asked = fetch("packages")
    assert asked == [f"{name}={one.version}" for name, one in KNOWN.items()]
    assert done.returncode == 1
    for name, one in KNOWN.items():  # the test's files are others
        assert f"{name}_{one.version}_all.deb isn't the one of packages.txt" in done.stderr
        assert (tmp_path / "packages" / f"{name}_{one.version}_all.deb").is_file()
    assert not fetch("packages")[1]  # what is there isn't downloaded again


def test_a_version_that_apt_does_not_know(fetch):
    done, _ = fetch("packages", unknown="fillets-ng-data-cs=")
    assert done.returncode == 1
    assert "apt has no fillets-ng-data-cs 1.0.1-1.1, but: 7.7 ; --any-version takes" in done.stderr


def test_any_version_is_what_apt_has(fetch):
    done, asked = fetch("packages", "--any-version")
    assert (done.returncode, asked) == (0, list(KNOWN))
    assert fetch("packages", "--any-version")[1] == []


@pytest.mark.parametrize("options", [[], ["--help"], ["a", "b"], ["a", "--any-version", "c"]])
def test_its_usage(fetch, options):
    done, asked = fetch(*options)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")
    assert not asked
