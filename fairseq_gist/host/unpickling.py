"""What a checkpoint may consist of, and reading files that may not run anything.

A pickle names functions and classes, and has them called. Of those names only what stands here is
followed: torch's own for tensors, and Python's containers. What old checkpoints of fairseq also
hold (settings of omegaconf, meters, numbers of numpy) is read as plain data: no class of theirs is
imported, a stand-in takes down what it would have been given.

torch >= 2.6 reads with ``weights_only``; for older versions :class:`Unpickler` does the same.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import pickletools
import re
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from argparse import Namespace
from collections import Counter, OrderedDict
from types import ModuleType
from typing import Any, BinaryIO, ClassVar, Dict, Iterable, Iterator, List, Tuple

import numpy as np
import torch

__all__ = [
    "Record",
    "allowed_by_torch",
    "is_foreign",
    "is_torchscript",
    "names_in",
    "restricted_pickle",
]

_MOST_BYTES = 1 << 28
"""Of the part of a file that is no tensor; one of real models has under a hundredth of that."""


class Record:
    """What stands for an object of fairseq or omegaconf: what it was given, and nothing that acts.

    Attributes:
        args: that it was made of.
        state: attributes that were set afterwards.
    """

    def __new__(cls, *args: Any) -> Record:
        """Take down the arguments."""
        made = object.__new__(cls)
        made.args, made.state = args, {}
        return made

    args: Tuple[Any, ...]
    state: Any

    def __setstate__(self, state: Any) -> None:
        """Take down the attributes."""
        self.state = state


class _NumpyType:
    """What stands for numpy's kind of a number: little-endian, of a few bytes."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code = code
        self.order = "<"

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        self.order = state[1]


def _number(kind: _NumpyType, data: bytes) -> Any:
    """Return a number of numpy's as Python's."""
    if not re.fullmatch(r"[biuf][1248]", kind.code) or kind.order not in ("<", ">", "|"):
        raise pickle.UnpicklingError(f"numpy.dtype({kind.code!r}) is no kind of a number")
    return np.frombuffer(data, dtype=np.dtype(kind.order + kind.code), count=1)[0].item()


def _with_default(*_: Any) -> Dict[Any, Any]:
    """Return what stands for an empty ``defaultdict``."""
    return {}


_NUMBERS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
_TYPES = ("bool", "bytes", "dict", "float", "int", "list", "object", "str", "tuple", "type")
_GENERIC = ("Any", "Dict", "List", "Optional", "Tuple", "Type", "Union")

_ALLOWED: Dict[str, Any] = {
    "argparse.Namespace": Namespace,
    "collections.defaultdict": _with_default,
    "numpy.dtype": _NumpyType,
    **dict.fromkeys(_NUMBERS, _number),
    # names of types, among what omegaconf keeps beside settings
    **dict.fromkeys([f"builtins.{name}" for name in _TYPES], Record),
    **dict.fromkeys(["operator.getitem", "_operator.getitem"], Record),
    **dict.fromkeys([f"typing.{name}" for name in _GENERIC], Record),
}
"""What may be named beside what tensors need, and what stands for it here."""

_DATA = re.compile(
    r"omegaconf\.(\w+\.)*\w+"
    r"|fairseq\.(logging\.)?meters\.\w*Meter"
    r"|fairseq\.dataclass\.constants\.\w+"
    r"|fairseq\.(\w+\.)*\w+Config"
)
"""Names that a :class:`Record` stands for: settings, their kinds and choices, and meters."""

_TENSORS: Dict[str, Any] = {
    "_codecs.encode": lambda text, encoding="latin1": text.encode("latin1"),
    "builtins.bytearray": bytearray,
    "builtins.complex": complex,
    "builtins.set": set,
    "collections.Counter": Counter,
    "collections.OrderedDict": OrderedDict,
    "torch.Size": torch.Size,
    "torch.device": torch.device,
    "torch.nn.parameter.Parameter": torch.nn.Parameter,
    "torch._utils._rebuild_parameter": torch._utils._rebuild_parameter,  # noqa: SLF001
    "torch._utils._rebuild_tensor": torch._utils._rebuild_tensor,  # noqa: SLF001
    "torch._utils._rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,  # noqa: SLF001
    **{str(one): one for one in vars(torch).values() if isinstance(one, torch.dtype)},
    **{f"torch.{name}": one for name, one in vars(torch).items() if name.endswith("Storage")},
    **{
        f"torch.storage.{name}": one
        for name, one in vars(torch.storage).items()
        if name.endswith("Storage")
    },
}
"""What torch itself allows from 2.6 on, as far as fairseq's checkpoints go."""


def _stands_for(name: str) -> Any:
    """Return what a name in a file becomes, None where it isn't allowed."""
    return _ALLOWED.get(name, Record if _DATA.fullmatch(name) else None)


def is_foreign(name: str) -> bool:
    """Return whether a function or class, named in a file, isn't allowed there."""
    return name not in _TENSORS and _stands_for(name) is None


def names_in(file: BinaryIO) -> List[str]:
    """Return every function and class that a file names; nothing of it is run or loaded.

    Raises:
        ValueError: when it is no file that torch writes.
    """
    names: Dict[str, None] = {}
    for pickled in _pickles_in(file):
        names.update(dict.fromkeys(_names_of(pickled)))
    return list(names)


def is_torchscript(path: str) -> bool:
    """Return whether a file is a program, which ``torch.load`` of torch < 2.6 would load as one."""
    try:
        # torch's own reader, so that no archive is one thing here and another there
        reader = torch._C.PyTorchFileReader(path)  # noqa: SLF001
    except RuntimeError:  # no archive
        return False
    return "constants.pkl" in reader.get_all_records()


def _pickles_in(file: BinaryIO) -> Iterator[BinaryIO]:
    if zipfile.is_zipfile(file):
        yield from _pickles_of_zip(file)
        return
    file.seek(0)
    for _ in range(4):  # a number, a version, sizes of numbers, the content
        yield file


def _pickles_of_zip(file: BinaryIO) -> Iterator[BinaryIO]:
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith(".pkl"):
                    if entry.file_size > _MOST_BYTES:
                        raise ValueError(f"{entry.filename} has {entry.file_size:,} bytes")
                    yield io.BytesIO(archive.read(entry))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(str(error)) from None


def _names_of(pickled: BinaryIO) -> Iterator[str]:
    strings: List[str] = []
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in ("GLOBAL", "INST"):
            yield _modern(*str(argument).split(" ", 1))
        elif opcode.name == "STACK_GLOBAL":
            yield _modern(*strings[-2:])
        elif isinstance(argument, str):
            strings = [*strings[-1:], argument]


def _modern(module: str, name: str = "") -> str:
    """Return the full name, of what pickles of protocol 2 call as Python 2 did."""
    module, name = NAME_MAPPING.get((module, name), (module, name))
    return f"{IMPORT_MAPPING.get(module, module)}.{name}"


@contextlib.contextmanager
def allowed_by_torch(names: Iterable[str] = ()) -> Iterator[None]:
    """Have ``torch.load(..., weights_only=True)``, of torch >= 2.6, allow what stands here.

    Args:
        names: of a file, of which those count that a pattern allows: torch knows none.
    """
    found = {name: Record for name in names if _DATA.fullmatch(name)}
    ours: Dict[str, Any] = {**_ALLOWED, **found}
    before = torch.serialization.get_safe_globals()
    others = [one for one in before if _name_of(one) not in ours]
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([*others, *((one, name) for name, one in ours.items())])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _name_of(allowed: Any) -> str:
    if isinstance(allowed, tuple):
        return str(allowed[1])
    return f"{allowed.__module__}.{allowed.__qualname__}"


_Python: Any = pickle._Unpickler  # noqa: SLF001


class Unpickler(_Python):
    """Reads a pickle whose names are all allowed, for torch < 2.6.

    Python's own written in Python, because objects are built by its methods, which can be
    overridden: attributes are set on plain data only, never on a class or a function.
    """

    dispatch: ClassVar[Dict[int, Any]] = dict(_Python.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for.

        Raises:
            UnpicklingError: for one that isn't allowed.
        """
        full = _modern(module, name)
        found = _TENSORS.get(full) or _stands_for(full)
        if found is None:
            raise pickle.UnpicklingError(f"{full} isn't allowed")
        return found

    def get_extension(self, code: int) -> None:
        """Refuse names that are numbers: nobody registers any."""
        raise pickle.UnpicklingError(f"extension {code} isn't allowed")

    def load_build(self) -> None:
        """Set attributes of what is at the top of the stack."""
        state = self.stack.pop()
        built = self.stack[-1]
        if isinstance(built, (Record, _NumpyType)):
            built.__setstate__(state)
        elif type(built) in (Namespace, OrderedDict) and isinstance(state, dict):
            vars(built).update(state)
        else:
            raise pickle.UnpicklingError(f"attributes of a {type(built).__name__} aren't set")

    dispatch[pickle.BUILD[0]] = load_build


def _load(file: BinaryIO, **options: Any) -> Any:
    return Unpickler(file, **options).load()


def restricted_pickle() -> Any:
    """Return what ``torch.load`` of torch < 2.6 takes for the module ``pickle``."""
    module: Any = ModuleType("restricted_pickle")
    module.Unpickler, module.load = Unpickler, _load
    return module
