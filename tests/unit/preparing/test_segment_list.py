"""Lists of segments: values are text, and no file takes more than its lines."""

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fairseq_gist.errors import DataError
from fairseq_gist.preparing.segment_list import read_segment_list, yaml_text

VALUES = ["0", "007", "no", "yes", "null", "~", "1_0", "1e3", "0x1F", "12:30", "2021-03-05", ".inf"]


@pytest.fixture
def listing(tmp_path):
    def write(text):
        path = tmp_path / "train.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "style",
    [
        "- {{wav: a.wav, speaker_id: {}}}\n",
        "- {{wav: 'a.wav', speaker_id: {}}}\n",
        '- {{wav: a.wav, speaker_id: "{}"}}\n',
        "- wav: a.wav\n  speaker_id: {}\n",
        "- &one {{wav: a.wav, speaker_id: &name {}}}\n",
        "--- # of a release\n- {{wav: a.wav, speaker_id: {}, words: [a, {{b: c}}]}}\n",
        "[{{wav: a.wav, speaker_id: {}}}]\n",
    ],
)
def test_values_are_text_in_every_style(listing, style, value):
    assert read_segment_list(listing(style.format(value))) == [
        {"wav": "a.wav", "speaker_id": value}
    ]


def test_it_is_what_the_base_loader_reads(listing):
    for style in ({}, {"default_style": "'"}, {"default_flow_style": True}):
        entries = [{"wav": f"{value}.wav", "speaker_id": value} for value in VALUES]
        text = yaml.safe_dump(entries, **style)
        assert read_segment_list(listing(text)) == yaml.load(text, yaml.BaseLoader) == entries


def test_repeated_values_and_segments_are_read(listing):
    text = "- &a {wav: &w a.wav, offset: 1}\n- {wav: *w, offset: 2}\n- *a\n"
    assert read_segment_list(listing(text)) == yaml.load(text, yaml.BaseLoader)


@given(st.text())
def test_what_is_written_is_read_as_the_same_text(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    lines = f"- {{speaker_id: {yaml_text(text)}, wav: a.wav}}\n"
    path.write_bytes(lines.encode("utf-8"))
    assert lines.count("\n") == 1
    assert read_segment_list(path) == [{"speaker_id": text, "wav": "a.wav"}]


@pytest.mark.parametrize("text", ["", "\n", "---\n", "[]", "# nothing\n"])
def test_a_list_of_nothing(listing, text):
    assert read_segment_list(listing(text)) == []


HUGE = 100_000
LAUGHS = "a: &a0 [x, x]\n" + "".join(
    f"b{n}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(40)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * HUGE, "line 1: segment 1: .*found a list"),
        ("- " * HUGE, "line 1: segment 1: .*found a list"),
        ("- a: " + "[" * HUGE, "line 1: nested more than 20 times"),
        ("- " + "{a: " * HUGE, "line 1: nested more than 20 times"),
        (
            "- a:\n" + "".join(f"{' ' * n}-\n" for n in range(2, 300)),
            "line 22: nested more than 20",
        ),
        ("- " + LAUGHS.replace("\n", "\n  ").rstrip(), None),
        (LAUGHS, "line 1: expected a list of segments, found a mapping"),
        ("- &a [x]\n- *a\n", "line 1: segment 1: .*found a list"),
        ("- {a: b}\n- *c\n", r"line 2: segment 2: .*found an alias of what is no segment \(\*c\)"),
        ("- {a: b}\n--- \n- {a: b}\n", "expected one list of segments, found a second document"),
        ("x" * HUGE, r"found 'x{60}\.\.\.'$"),
        ("- {a: b\n", "line 2: not YAML: did not find expected ',' or '}'"),
        ("- {a: \0}\n", "train.yaml: not YAML: unacceptable character"),
        ("- {a: 'b}\n", "not YAML: "),
    ],
)
def test_what_is_no_list_of_segments_is_one_line_at_once(listing, text, reason):
    path, start = listing(text), time.process_time()
    if reason is None:
        assert set(read_segment_list(path)[0]) == set()
    else:
        with pytest.raises(DataError, match=reason) as error:
            read_segment_list(path)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 300 + len(str(path))
    assert time.process_time() - start < 5
