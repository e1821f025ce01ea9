"""The tutorial, as it stands in the documentation: its commands run, and its service answers."""

import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import HTTPServer
from pathlib import Path

import pytest

SMALLER = {
    "RUN=runs/tutorial": "RUN={run}",
    "--size small": "--size tiny --workers 1",
    "--vocab-size 600": "--vocab-size 300 --workers 1",
    "--conv-channels 256": "--conv-channels 32 --num-workers 0",
    "embed-dim 128": "embed-dim 32",
    "ffn-embed-dim 512": "ffn-embed-dim 64",
    "--max-update 1200": "--max-update 6",
    "--differentiate-at 700": "--differentiate-at 1",
    "--save-interval-updates 100": "--save-interval-updates 2",
    "--batch-size 64 --beam 5": "--batch-size 64 --beam 1 --num-workers 0",
    "--max-len-b 40": "--max-len-a 0 --max-len-b 5",
}
"""What the test makes smaller; everything else is run as a reader would."""


@pytest.fixture(scope="module")
def page(repo_root):
    return (repo_root / "docs" / "tutorial.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def run(page, repo_root, tmp_path_factory):
    """The folder that its commands have filled."""
    folder = tmp_path_factory.mktemp("tutorial")
    script = "\n".join(re.findall(r"^```bash\n(.+?)^```", page, re.MULTILINE | re.DOTALL))
    for there, here in SMALLER.items():
        assert there in script
        script = script.replace(there, here.format(run=folder))
    binaries = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=repo_root,
        env={**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return folder


@pytest.mark.slow
def test_every_step_leaves_what_it_says(run):
    assert "update 1: differentiated" in (run / "train.log").read_text(encoding="utf-8")
    assert (run / "report" / "index.html").stat().st_size > 10_000
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))["systems"]
    assert [one["name"] for one in scores] == ["gist"]
    assert {path.suffix for path in (run / "subtitles").iterdir()} == {".srt", ".json"}
    assert (run / "german.pt").exists()


@pytest.mark.slow
def test_the_service_answers(page, run):
    source = page.split("```python\n")[1].split("```")[0]
    made = {"__name__": "serve"}
    exec(compile(source, "serve.py", "exec"), made)
    made["Service"].model = made["load"](str(run / "average.pt"))
    server = HTTPServer(("127.0.0.1", 0), made["Service"])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        port = server.server_address[1]
        recording = next((run / "corpus/en-de/data/dev/wav").glob("*.wav")).read_bytes()
        status, answer = asked(port, "de,fr", recording)
        assert status == 200
        assert set(answer) == {"de", "fr"}
        status, answer = asked(port, "xx", recording)
        assert status == 400
        assert "found 'xx'" in answer["error"]
        assert asked(port, "de", b"no sound")[0] == 400
        assert asked(port, "de", b"")[0] == 413
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asked(port, language, recording):
    url = f"http://127.0.0.1:{port}/?language={language}"
    request = urllib.request.Request(url, data=recording, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
