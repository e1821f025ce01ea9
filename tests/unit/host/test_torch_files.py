"""What a file names is not run, and what old checkpoints hold is read as plain data."""

import contextlib
import io
import json
import os
import pickle
import struct
import sys
import zipfile
from argparse import Namespace
from collections import OrderedDict
from enum import Enum

import numpy as np
import pytest
import torch
from fairseq import checkpoint_utils
from fairseq.logging.meters import AverageMeter, StopwatchMeter, TimeMeter
from omegaconf import OmegaConf

from fairseq_gist.cli.main import main
from fairseq_gist.errors import CheckpointError
from fairseq_gist.host import torch_files
from fairseq_gist.host.checkpoints import model_settings, read_checkpoint, write_checkpoint
from fairseq_gist.host.fairseq_reading import read_checkpoints_as_we_do
from fairseq_gist.host.torch_files import load_file
from fairseq_gist.host.unpickling import Unpickler


class Choice(Enum):
    HARD = "hard"


class Calls:
    """Pickled, a call of any function."""

    def __init__(self, function, *args):
        self.called = function, args

    def __reduce__(self):
        return self.called


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A file that is there once anything has run, and a module that makes it when imported."""
    marker = tmp_path / "ran"
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "springs.py").write_text(
        f"open({str(marker)!r}, 'w').close()\n\ndef spring(*args):\n    return {{}}\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    yield marker
    sys.modules.pop("springs", None)


def text(value):
    """Return what is pickled as a text."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def named(module, name):
    """Return what is pickled as the name of something, without importing it."""
    return b"c" + f"{module}\n{name}\n".encode()


def saved(path, content, extra=b"", legacy=False, protocol=2):
    """Save as torch does, with the opcodes of one more entry, ``extra``, at the end."""
    torch.save(content, path, _use_new_zipfile_serialization=not legacy, pickle_protocol=protocol)
    if extra:
        with zipfile.ZipFile(path) as archive:
            entries = {entry: archive.read(entry) for entry in archive.namelist()}
        [data] = [entry for entry in entries if entry.endswith("data.pkl")]
        entries[data] = entries[data][:-1] + b"(" + text("extra") + extra + b"u."
        with zipfile.ZipFile(path, "w") as archive:
            for entry, written in entries.items():
                archive.writestr(entry, written)
    return path


def checkpoint(**changes):
    model = OrderedDict(weight=torch.arange(6.0).view(2, 3))
    usual = {
        "args": None,
        "cfg": {"model": Namespace(arch="s2t_transformer_s"), "task": {"_name": "x"}},
        "model": model,
        "optimizer_history": [{"num_updates": 3, "best_loss": 1.0}],
        "last_optimizer_state": None,
        "extra_state": {"train_iterator": {"epoch": 1}},
    }
    return {**usual, **changes}


SPRING = named("springs", "spring") + b"(tR"
EVIL = {
    "a call": (SPRING, "springs.spring"),
    "a name": (named("springs", "spring"), "springs.spring"),
    "an instance": (b"(isprings\nspring\n", "springs.spring"),
    "a shell": (named("os", "system") + b"(" + text("touch ran") + b"tR", "os.system"),
    "evaluation": (
        named("__builtin__", "eval") + b"(" + text("open('ran', 'w')") + b"tR",
        "builtins.eval",
    ),
    "a way in": (named("torch", "_utils.importlib") + b"", "torch._utils.importlib"),
    "a way round": (named("fairseq.file_io", "PathManager"), "fairseq.file_io.PathManager"),
    "a loader": (named("torch", "load") + b"(" + text("evil.pt") + b"tR", "torch.load"),
    "an extension": (b"\x82\x01", "extension 1 isn't allowed|Unsupported operand 130"),
    "attributes of a class": (
        named("argparse", "Namespace")
        + b"(N}"
        + text("__init__")
        + named("collections", "OrderedDict")
        + b"stb",
        "attributes of a type aren't set|Can only build Tensor",
    ),
    "attributes of a function": (
        named("torch._utils", "_rebuild_tensor_v2") + b"(N}" + text("__doc__") + text("x") + b"stb",
        "attributes of a function aren't set|Can only build Tensor",
    ),
}


def load_restricted(path):
    """As torch < 2.6 reads, on either stack."""
    with open(path, "rb") as file:
        return torch_files._load_restricted(file)


@pytest.mark.parametrize("kind", EVIL)
def test_nothing_that_a_file_names_is_imported_or_called(tmp_path, trap, monkeypatch, kind):
    opcodes, name = EVIL[kind]
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "evil.pt", checkpoint(), opcodes)
    before = Namespace.__init__, torch._utils._rebuild_tensor_v2.__doc__
    with pytest.raises(CheckpointError, match=name) as error:
        load_file(str(path))
    assert "\n" not in str(error.value)
    if "." in name:
        assert "--trust-checkpoint loads it all the same" in str(error.value)
    with pytest.raises((pickle.UnpicklingError, ValueError)):
        load_restricted(path)
    assert not trap.exists()
    assert "springs" not in sys.modules
    assert before == (Namespace.__init__, torch._utils._rebuild_tensor_v2.__doc__)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_call_is_told_in_either_format(tmp_path, trap, legacy, protocol):
    content = checkpoint(extra_state=Calls(os.system, f"touch {trap}"))
    path = saved(tmp_path / "evil.pt", content, legacy=legacy, protocol=protocol)
    with pytest.raises(CheckpointError, match=rf"names {os.system.__module__}\.system, which no"):
        load_file(str(path))
    with pytest.raises(pickle.UnpicklingError, match=r"system isn't allowed"):
        load_restricted(path)
    assert not trap.exists()


def test_a_program_is_no_checkpoint(tmp_path):
    path = saved(tmp_path / "program.pt", checkpoint())
    with zipfile.ZipFile(path, "a") as archive:
        [data] = [entry for entry in archive.namelist() if entry.endswith("data.pkl")]
        archive.writestr(data.replace("data.pkl", "constants.pkl"), pickle.dumps(()))
    with pytest.raises(CheckpointError, match=r"program.pt is a program \(TorchScript\)"):
        load_file(str(path))
    with pytest.raises(pickle.UnpicklingError, match=r"it is a program \(TorchScript\)"):
        load_restricted(path)


COMMANDS = {
    "show": ["show", "EVIL"],
    "export": ["export", "EVIL", "--language=de", "-o", "OUT"],
    "average": ["average", "EVIL", "-o", "OUT"],
    "apply": ["apply", "EVIL", "PLAN", "-o", "OUT"],
    "record": ["record", "EVIL", "nowhere", "-o", "OUT"],
    "plan": ["plan", "random", "--checkpoint=EVIL", "--languages=de,fr", "-o", "OUT"],
    "report": ["report", "EVIL", "-o", "OUT"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_runs_a_checkpoint(tmp_path, trap, capsys, command):
    saved(tmp_path / "evil.pt", checkpoint(), SPRING)
    plan = {"schema": 2, "languages": ["de", "fr"], "units": {"a": [["de"], ["fr"]]}}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    places = {"EVIL": "evil.pt", "PLAN": "plan.json", "OUT": "out"}
    words = COMMANDS[command]
    for word, name in places.items():
        words = [one.replace(word, str(tmp_path / name)) for one in words]
    assert main(words) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "evil.pt names springs.spring, which no checkpoint of fairseq needs" in error
    assert not trap.exists()
    assert not (tmp_path / "out").exists()
    with contextlib.suppress(SystemExit):  # which fails, later: it is half a checkpoint
        main([*words, "--trust-checkpoint"])
    assert trap.exists()


def test_a_report_of_a_folder_runs_nothing_that_lies_in_it(tmp_path, trap, capsys):
    (tmp_path / "run").mkdir()
    saved(tmp_path / "run" / "checkpoint_last.pt", checkpoint(), SPRING)
    plan = {"schema": 2, "languages": ["de", "fr"], "units": {"a": [["de"], ["fr"]]}}
    (tmp_path / "run" / "other.json").write_text(json.dumps(plan), encoding="utf-8")
    assert main(["report", str(tmp_path / "run"), "-o", str(tmp_path / "out")]) == 0
    assert "not read: " in capsys.readouterr().out
    assert not trap.exists()


def test_fairseq_itself_loads_by_the_same_reader(tmp_path, trap, monkeypatch):
    read_checkpoints_as_we_do()
    path = saved(tmp_path / "evil.pt", checkpoint(), SPRING)
    with pytest.raises(SystemExit, match=r"evil.pt names springs.spring") as error:
        checkpoint_utils.load_checkpoint_to_cpu(str(path))
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 in the environment" in str(error.value)
    assert not trap.exists()
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    checkpoint_utils.load_checkpoint_to_cpu(str(path))
    assert trap.exists()


def settings():
    """Settings as fairseq 0.10 saved them, of a class, with a choice and a reference."""
    cfg = OmegaConf.create({"model": {"_name": "s2t_transformer", "arch": "s2t_transformer_s"}})
    cfg.common = {"seed": 7, "names": ["a", None], "empty": {}}
    cfg.model.seed = "${common.seed}"
    cfg.model.missing = "???"
    OmegaConf.set_struct(cfg, True)
    return cfg


def old(**changes):
    """A checkpoint with all that older versions of fairseq have put into one."""
    meter, timer = AverageMeter(), TimeMeter()
    meter.update(2.5)
    args = Namespace(
        arch="s2t_transformer_s",
        lr=[np.float64(0.25)],
        seed=np.int64(3),
        flag=np.bool_(True),
        half=np.float16(0.5),
        big=np.array(7, dtype=">i4")[()],
        nested=Namespace(best=np.float32(1.5)),
    )
    meters = OrderedDict(train_loss=meter, wps=timer, wall=StopwatchMeter())
    extra = {"train_meters": meters, "val_loss": np.float64(2.0), "epoch": 1}
    return checkpoint(
        cfg=None, args=args, extra_state={**extra, "train_iterator": {"epoch": 1}}, **changes
    )


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("reader", [load_file, load_restricted], ids=lambda one: one.__name__)
def test_an_old_checkpoint_is_read_as_plain_data(tmp_path, legacy, reader):
    path = str(saved(tmp_path / "old.pt", old(), legacy=legacy))
    content, left_out = torch_files.plain_content(reader(path), path)
    assert left_out == []
    assert vars(content["args"]) == {
        "arch": "s2t_transformer_s", "lr": [0.25], "seed": 3, "flag": True, "half": 0.5, "big": 7,
        "nested": Namespace(best=1.5),
    }  # fmt: skip
    assert [type(value) for value in vars(content["args"]).values()] == [
        str, list, int, bool, float, int, Namespace
    ]  # fmt: skip
    assert content["extra_state"]["train_meters"]["train_loss"]["sum"] == 2.5
    assert content["extra_state"]["val_loss"] == 2.0
    assert torch.equal(content["model"]["weight"], torch.arange(6.0).view(2, 3))


@pytest.mark.parametrize("reader", [load_file, load_restricted], ids=lambda one: one.__name__)
def test_settings_of_omegaconf_are_read_without_it(tmp_path, reader):
    path = str(saved(tmp_path / "old.pt", checkpoint(cfg=settings())))
    content, _ = torch_files.plain_content(reader(path), path)
    assert type(content["cfg"]) is dict
    assert content["cfg"]["common"] == {"seed": 7, "names": ["a", None], "empty": {}}
    assert content["cfg"]["model"]["seed"] == "${common.seed}"


def test_settings_that_refer_to_others_are_those(tmp_path):
    content = read_checkpoint(str(saved(tmp_path / "old.pt", checkpoint(cfg=settings()))))
    assert model_settings(content, "old.pt").seed == 7


def test_what_is_written_is_read_by_torch_itself(tmp_path):
    content = read_checkpoint(str(saved(tmp_path / "old.pt", old())))
    content["args"] = None
    write_checkpoint(content, str(tmp_path / "new.pt"))
    options = {} if torch.__version__ < (2, 6) else {"weights_only": True}
    written = torch.load(tmp_path / "new.pt", **options)
    assert written["extra_state"]["val_loss"] == 2.0
    names = {opcode for opcode in _names(tmp_path / "new.pt") if "torch" not in opcode}
    assert names <= {"collections OrderedDict"}


def _names(path):
    import pickletools

    with zipfile.ZipFile(path) as archive:
        [data] = [entry for entry in archive.namelist() if entry.endswith("data.pkl")]
        return [
            argument
            for opcode, argument, _ in pickletools.genops(archive.read(data))
            if opcode.name == "GLOBAL"
        ]


def test_of_a_trusted_file_only_what_is_plain_is_kept(tmp_path, caplog):
    content = checkpoint(cfg=settings(), extra_state={"choice": Choice.HARD, "lock": io.StringIO})
    path = saved(tmp_path / "odd.pt", content)
    with pytest.raises(CheckpointError, match="Choice"):
        read_checkpoint(str(path))
    read = read_checkpoint(str(path), trusted=True)
    assert read["extra_state"] == {"choice": "hard", "lock": None}
    assert "left out 'extra_state.lock (builtins.type)'" in caplog.text
    assert type(read["cfg"]["model"]) is dict
    write_checkpoint(read, str(tmp_path / "plain.pt"))
    assert read_checkpoint(str(tmp_path / "plain.pt"))["extra_state"]["choice"] == "hard"


def _nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def _doubled(levels):
    value = [1]
    for _ in range(levels):
        value = [value, value]
    return value


def test_depth_is_bounded_and_what_is_there_twice_is_looked_at_once(tmp_path):
    path = saved(tmp_path / "wide.pt", checkpoint(extra_state=_doubled(60)))
    assert read_checkpoint(str(path))["extra_state"][0][1][0]
    path = saved(tmp_path / "deep.pt", checkpoint(extra_state=_nested(100)))
    with pytest.raises(
        CheckpointError, match="deep.pt: 'extra_state' is nested more than 64 levels"
    ):
        read_checkpoint(str(path))
    deepest = b"]" * 100_000 + b"a" * 99_999
    with pytest.raises(CheckpointError, match="nested more than 64 levels"):
        read_checkpoint(str(saved(tmp_path / "deepest.pt", checkpoint(), deepest)))


@pytest.mark.parametrize("cut", [0, 1, 10, 0.3, 0.9, 0.999])
def test_a_damaged_file_is_one_line(tmp_path, cut):
    path = saved(tmp_path / "cut.pt", checkpoint())
    whole = path.read_bytes()
    path.write_bytes(whole[: cut if isinstance(cut, int) else int(cut * len(whole))])
    with pytest.raises(
        CheckpointError, match="cut.pt is no checkpoint that torch can read"
    ) as error:
        read_checkpoint(str(path))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "it has no 'model' in it"),
        (checkpoint(model={"weight": 3}), "expected a tensor .* found int for 'weight'"),
        (checkpoint(model={3: torch.zeros(1)}), "expected a tensor .* found Tensor for '3'"),
    ],
)
def test_what_is_no_checkpoint_is_told(tmp_path, content, message):
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(str(saved(tmp_path / "x.pt", content)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cfg": [1]}, "expected settings as 'cfg', found list"),
        ({"cfg": {"model": 3}}, "expected the settings of its model, found int"),
        ({"cfg": {"model": {3: 4}}}, "expected the settings of its model, found dict"),
        ({"cfg": None}, "doesn't say which model it is of"),
        ({"cfg": None, "args": "x"}, "expected the settings of its model, found str"),
    ],
)
def test_settings_that_are_none_are_told(changes, message):
    with pytest.raises(CheckpointError, match=f"x.pt.*{message}"):
        model_settings(checkpoint(**changes), "x.pt")


@pytest.mark.parametrize("code", ["O8", "V8", "M8[s]", "f3", "S4", "f8,f8"])
def test_only_numbers_are_numbers(code):
    written = (
        b"\x80\x02cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(V"
        + code.encode()
        + b"\nI0\nI1\ntR(I3\nV<\nNNNI-1\nI-1\nI0\ntb"
        + b"c_codecs\nencode\n(X"
        + struct.pack("<I", 8)
        + b"aaaaaaaaVlatin1\ntRtR."
    )
    with pytest.raises(pickle.UnpicklingError, match="is no kind of a number"):
        Unpickler(io.BytesIO(written)).load()


def test_what_is_written_twice_has_the_same_bytes(tmp_path):
    """Whatever the temporary file was called."""
    for name in ("one.pt", "two.pt"):
        write_checkpoint({"model": {"weight": torch.ones(3)}}, str(tmp_path / name))
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()
