"""What :mod:`tests.forking` forks processes from: ``python -W ignore forking_server.py SOCKET``.

It imports what commands import, computes nothing, has one thread, and ends when the process that
started it does. The plugin is not imported here: what it is at its import is what tests are about.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import importlib
import importlib.machinery
import json
import logging
import multiprocessing.process
import os
import random
import runpy
import select
import signal
import socket
import sys
import types
from multiprocessing.reduction import recvfds
from typing import Any, Dict, List, Mapping

MODULES = (
    "fairseq",
    "fairseq.trainer",
    "torch._dynamo",  # with torch 2 an optimizer imports it, and sympy with it
    "scipy.cluster.hierarchy",
    "scipy.stats",
    "babel",
)
_REAPED_EVERY = 1.0  # seconds after which it looks whether it is still needed


def prepare() -> None:
    """Import, and leave of it what a fresh interpreter doesn't have either."""
    configure = logging.basicConfig
    said: List[Dict[str, Any]] = []
    logging.basicConfig = lambda **options: said.append(options)
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError:  # not on this stack
            continue
    logging.basicConfig = configure
    sys.meta_path.insert(0, _Fairseq(said))
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise SystemExit(f"{threads} threads are there, and what is forked has but one of them")
    gc.collect()
    gc.freeze()  # what is never collected is shared with what is forked


class _Fairseq:
    """Finds fairseq where it was put away, and does again what it does to logging at its import.

    Who configures logging first has it their way: fairseq, or the command that imports it.
    """

    def __init__(self, said: List[Dict[str, Any]]):
        names = [name for name in sys.modules if name.partition(".")[0] == "fairseq"]
        self.modules = {name: sys.modules.pop(name) for name in names}
        self.said = said

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Tell that it is here."""
        if name != "fairseq":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> types.ModuleType:
        """Return it, with all that it had imported."""
        sys.meta_path.remove(self)
        sys.modules.update(self.modules)
        self.spec = self.modules["fairseq"].__spec__
        for options in self.said:
            logging.basicConfig(**options)
        return self.modules["fairseq"]

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing more: it was done."""
        module.__spec__ = self.spec


def serve(connection: socket.socket) -> Mapping[str, Any]:
    """Fork until nobody is there to ask; gives what is asked for, in each process forked."""
    parent = os.getppid()
    running: Dict[int, socket.socket] = {}
    woken, wakes = socket.socketpair()
    for one in (woken, wakes):
        one.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection.sendall(b"r")
    while os.getppid() == parent:
        ready, _, _ = select.select([connection, woken], [], [], _REAPED_EVERY)
        if woken in ready:
            woken.recv(4096)
            _tell_ended(running)
        if connection not in ready:
            continue
        request, handles = _receive(connection)
        if request is None:
            break
        status = socket.socket(fileno=handles.pop())
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, interrupt)
            for one in (connection, woken, wakes, *running.values()):
                one.close()
            _become(request, handles)
            status.send(b"%d" % os.getpid())
            status.close()
            return request
        running[pid] = status
        for handle in handles:
            os.close(handle)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _tell_ended(running: Dict[int, socket.socket]) -> None:
    for pid in list(running):
        ended, code = os.waitpid(pid, os.WNOHANG)
        if ended == pid:
            with running.pop(pid) as status, contextlib.suppress(BrokenPipeError):
                status.send(b"%d" % code)  # if somebody wants to know


def _receive(connection: socket.socket) -> Any:
    try:
        handles = recvfds(connection, 4)
    except (EOFError, ConnectionError):
        return None, []
    content = b""
    size = 8
    while len(content) < size:
        more = connection.recv(size - len(content))
        if not more:
            return None, []
        content += more
        if size == 8 and len(content) == 8:
            size += int.from_bytes(content, "big")
    return json.loads(content[8:]), handles


def _become(request: Mapping[str, Any], handles: List[int]) -> None:
    """Take files, session, environment and folder of the process asked for."""
    for handle, own in zip(handles, range(3)):
        os.dup2(handle, own)
        os.close(handle)
    if request["new_session"]:
        os.setsid()
    environment = request["environment"]
    in_front = len(_path(os.environ))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(request["cwd"])
    multiprocessing.process.ORIGINAL_DIR = os.getcwd()
    sys.path[1 : 1 + in_front] = _path(environment)
    importlib.invalidate_caches()
    random.seed()
    for generator in ("numpy.random", "torch"):
        sys.modules[generator].seed()
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[:] = request["command"]


def _path(environment: Mapping[str, str]) -> List[str]:
    text = environment.get("PYTHONPATH", "")
    return text.split(os.pathsep) if text else []


def run(way: str, *words: str) -> None:
    """Do what ``python WAY WORD...`` does."""
    main = types.ModuleType("__main__")
    vars(main)["__builtins__"] = builtins
    sys.modules["__main__"] = main
    if way == "-m":
        module, *arguments = words
        sys.argv[:] = ["-m", *arguments]
        sys.path[0] = os.getcwd()
        runpy._run_module_as_main(module)
        return
    if way == "-c":
        program, *arguments = words
        sys.argv[:], sys.path[0], name = ["-c", *arguments], "", "<string>"
    else:
        sys.argv[:], sys.path[0], name = [way, *words], os.path.dirname(os.path.realpath(way)), way
        vars(main)["__file__"] = way
        with open(way, encoding="utf-8") as file:
            program = file.read()
    exec(compile(program, name, "exec", dont_inherit=True), vars(main))


if __name__ == "__main__":
    prepare()
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    run(*asked["command"][3:])
