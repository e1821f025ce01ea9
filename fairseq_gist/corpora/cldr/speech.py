"""English speech from eSpeak NG, one process for every talk.

The same calls in a fresh process give the same samples, but a second utterance depends on the
first: so :func:`speak` starts a process of its own and says its texts in order. Run as a module
this file is that process: it reads a JSON request from stdin, and writes to stdout a line of
JSON and, for every text, the number of samples (32 bits) and the samples (16 bits). It imports
nothing but the standard library and the loader, so that starting it costs little.
"""

from __future__ import annotations

import array
import ctypes
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO, Dict, List, Sequence, Tuple

from fairseq_gist.errors import DataError

__all__ = ["SAMPLE_RATE", "speak", "version"]

SAMPLE_RATE = 22050
"""What eSpeak NG gives, in Hz."""

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples to the callback, nothing is played
_UTF8 = 1
_SEED = 1
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def speak(voice: str, texts: Sequence[str]) -> List[array.array[int]]:
    """The samples of every text (16 bits, :data:`SAMPLE_RATE`), spoken in a fresh process."""
    return _request(voice, texts)[1]


def version() -> str:
    """The version of eSpeak NG."""
    return _request("en", [])[0]["version"]


def _request(voice: str, texts: Sequence[str]) -> Tuple[Dict[str, str], List[array.array[int]]]:
    root = str(Path(__file__).resolve().parents[3])
    inherited = os.environ.get("PYTHONPATH")
    environment = dict(os.environ, PYTHONPATH=root + (os.pathsep + inherited if inherited else ""))
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps({"voice": voice, "texts": list(texts)}).encode(),
        capture_output=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"it ended with {done.returncode}"
        raise DataError(f"eSpeak NG could not speak with voice {voice!r}: {reason}")
    header, _, rest = done.stdout.partition(b"\n")
    return json.loads(header), _unpack(rest, len(texts))


def _unpack(data: bytes, count: int) -> List[array.array[int]]:
    waves, position = [], 0
    for _ in range(count):
        (length,) = struct.unpack_from("<i", data, position)
        wave = array.array("h", data[position + 4 : position + 4 + 2 * length])
        if sys.byteorder == "big":
            wave.byteswap()
        waves.append(wave)
        position += 4 + 2 * length
    return waves


class _Synthesiser:
    """The library, with the voice set; raises ``RuntimeError`` with the reason in one line."""

    def __init__(self, voice: str) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise RuntimeError(
                'espeakng-loader is missing: pip install "fairseq-gist[corpora]" brings it'
            ) from error
        library, data = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
        self._library = _declared(ctypes.CDLL(str(library)))
        rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(str(data)), 0)
        if rate != SAMPLE_RATE:
            raise RuntimeError(
                f"initialising with {data} gave {rate}, expected {SAMPLE_RATE} Hz "
                f"(a path of more than 160 characters is too long: it has {len(str(data))})"
            )
        self.version = (self._library.espeak_Info(None) or b"").decode().split(" ")[0]
        # The breath of some voices is noise, which is seeded with the time unless told otherwise.
        self._library.espeak_ng_SetRandSeed(_SEED)
        self._set_voice(voice, Path(str(data)))
        self._samples = array.array("h")
        self._callback = _Callback(self._receive)  # kept: the library holds only a pointer
        self._library.espeak_SetSynthCallback(self._callback)

    def _set_voice(self, voice: str, data: Path) -> None:
        _, plus, variant = voice.partition("+")
        if plus and not (data / "voices" / "!v" / variant).is_file():
            raise RuntimeError(f"there is no variant {variant!r}")  # eSpeak would ignore it
        status = self._library.espeak_SetVoiceByName(voice.encode())
        if status:
            raise RuntimeError(f"there is no such voice (espeak_SetVoiceByName gave {status})")

    def _receive(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _: object) -> int:
        if samples and count > 0:
            self._samples.frombytes(ctypes.string_at(samples, 2 * count))
        return 0

    def say(self, text: str) -> array.array[int]:
        self._samples = array.array("h")
        self._library.espeak_ng_SetRandSeed(_SEED)
        encoded = text.encode()
        status = self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None)
        if status or self._library.espeak_Synchronize():
            raise RuntimeError(f"synthesis failed on {text!r} (espeak_Synth gave {status})")
        if not self._samples:
            raise RuntimeError(f"no sound came for {text!r}")
        return self._samples


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    number, text, pointer = ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p
    position = ctypes.c_uint
    for name, result, arguments in (
        ("espeak_Initialize", number, [number, number, text, number]),
        ("espeak_Info", text, [pointer]),
        ("espeak_SetSynthCallback", None, [_Callback]),
        ("espeak_SetVoiceByName", number, [text]),
        (
            "espeak_Synth",
            number,
            [text, ctypes.c_size_t, position, number, position, position, pointer, pointer],
        ),
        ("espeak_Synchronize", number, []),
        ("espeak_ng_SetRandSeed", number, [ctypes.c_long]),
    ):
        function = getattr(library, name, None)
        if function is None:
            raise RuntimeError(f"the library lacks {name}: eSpeak NG 1.52 or later is needed")
        function.restype, function.argtypes = result, arguments
    return library


def _serve(source: BinaryIO, sink: BinaryIO) -> None:
    request = json.loads(source.read())
    synthesiser = _Synthesiser(request["voice"])
    sink.write(json.dumps({"version": synthesiser.version}).encode() + b"\n")
    for text in request["texts"]:
        wave = synthesiser.say(text)
        if sys.byteorder == "big":
            wave.byteswap()
        sink.write(struct.pack("<i", len(wave)) + wave.tobytes())


if __name__ == "__main__":
    # it is ended by its starter: what is raised in a callback of the library is lost, sound too
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _serve(sys.stdin.buffer, sys.stdout.buffer)
    except (RuntimeError, OSError) as problem:
        sys.stderr.write(f"{problem or type(problem).__name__}\n")
        sys.exit(3)
