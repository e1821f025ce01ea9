"""Python processes of tests, forked from one that has imported what all of them import.

:class:`Popen` and :func:`run` are those of :mod:`subprocess`. ``python -W ignore`` on a program, a
module or a file comes from a server (:mod:`tests.forking_server`), and is spared the seconds in
which torch and fairseq are imported; every other command, or one in an environment that these
may read as they are imported, is started as ever. What is about a start itself, about what is
imported or about how much memory is used belongs to :mod:`subprocess`.
"""

import atexit
import json
import os
import select
import socket
import subprocess
import sys
import threading
from multiprocessing.reduction import sendfds
from pathlib import Path
from typing import Any, List, Mapping, Optional, Tuple

__all__ = ["Popen", "run"]

REPO = Path(__file__).resolve().parents[1]
SERVER = Path(__file__).with_name("forking_server.py")
PYTHON = [sys.executable, "-W", "ignore"]
UNREAD = ("KILLS", "PWD", "OLDPWD", "_", "TORCHINDUCTOR_CACHE_DIR")
"""Variables that may be others than the server's: nothing it has imported keeps what they say.

The last one is set by torch itself, in whatever process has needed it.
"""
_ANYWHERE = ("COV_CORE_", "COVERAGE_")


class Popen(subprocess.Popen):
    """:class:`subprocess.Popen`, of a process that may be forked from a server."""

    _status: Optional[socket.socket] = None

    def __init__(self, command: Any, **options: Any):
        self._new_session = bool(options.get("start_new_session"))
        self._can_be_forked = _can_be_forked(command, options)
        super().__init__(command, **options)

    @property
    def is_forked(self) -> bool:
        """Whether it comes from a server."""
        return self._status is not None

    # What follows is private to `subprocess`, and the same in Python 3.8 to 3.13: how a process is
    # started, and how its end is heard of. Everything else is built on these.

    def _execute_child(self, args: Any, *others: Any) -> None:
        server = _next_server() if self._can_be_forked else None
        if server is None:
            return super()._execute_child(args, *others)
        cwd, env, pipes = others[4], others[5], others[9:15]
        handles = [
            own if own != -1 else inherited
            for own, inherited in zip((pipes[0], pipes[3], pipes[5]), range(3))
        ]
        request = {
            "command": list(map(os.fspath, args)),
            "cwd": os.path.join(os.getcwd(), cwd or ""),
            "environment": dict(os.environ if env is None else env),
            "new_session": self._new_session,
        }
        self._status, self.pid = server.start(request, handles)
        self._child_created = True
        self._close_pipe_fds(*pipes)
        return None

    def _try_wait(self, wait_flags: int) -> Tuple[int, int]:
        if self._status is None:
            return super()._try_wait(wait_flags)
        if wait_flags == os.WNOHANG and not select.select([self._status], [], [], 0)[0]:
            return 0, 0
        status = self._status.recv(64)
        if not status:
            raise RuntimeError("the server has ended, and nobody knows what came of the process")
        return self.pid, int(status)

    def _internal_poll(self, *args: Any, **options: Any) -> Optional[int]:
        if self._status is None:
            return super()._internal_poll(*args, **options)
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid == self.pid and self.returncode is None:
                    self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode

    def _handle_exitstatus(self, *args: Any) -> None:
        super()._handle_exitstatus(*args)
        if self._status is not None:
            self._status.close()


def run(
    command: Any,
    *,
    capture_output: bool = False,
    timeout: Optional[float] = None,
    check: bool = False,
    **options: Any,
) -> "subprocess.CompletedProcess[Any]":
    """:func:`subprocess.run`, of a process that may be forked from a server."""
    if capture_output:
        options.update(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with Popen(command, **options) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(process.args, process.returncode, output, errors)
    if check:
        done.check_returncode()
    return done


def _can_be_forked(command: Any, options: Mapping[str, Any]) -> bool:
    if sys.platform != "linux" or isinstance(command, (str, bytes)):
        return False
    words = list(map(str, command))
    if words[:3] != PYTHON or words[3:4] == [] or (words[3][:1] == "-" and words[3] not in _WAYS):
        return False
    if any(options.get(one) for one in ("preexec_fn", "shell", "executable", "pass_fds")):
        return False
    environment = options.get("env")
    environment = dict(os.environ if environment is None else environment)
    if any(name.startswith(_ANYWHERE) for name in environment):
        return False  # each process is to measure itself from its start
    return read_at_import(environment) == read_at_import(_of_server())


_WAYS = ("-c", "-m")


def read_at_import(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return of an environment what may change what is imported, or how."""
    return {
        name: value
        for name, value in environment.items()
        if name not in UNREAD
        and not name.startswith("PYTEST_")
        and (name, value) not in (("PYTHONPATH", ""), ("PYTHONPATH", str(REPO)))
    }


def _of_server() -> Mapping[str, str]:
    # numpy's and torch's threads wouldn't be there in what is forked
    return {**_begun_in, "OMP_NUM_THREADS": "1"}


class _Server:
    """One process that others are forked from; it ends with this one."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [*PYTHON, str(SERVER), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdout=subprocess.DEVNULL,
                env=_of_server(),
            )
        said = self._connection.recv(1)
        if said != b"r":
            raise RuntimeError(
                f"{SERVER} has ended with {self._process.wait()} before a process came from it"
            )

    def start(self, request: Mapping[str, Any], handles: List[int]) -> Tuple[socket.socket, int]:
        """Return the socket that a new process' status comes from, and its number.

        Args:
            request: what :func:`tests.forking_server.serve` knows.
            handles: the files of its standard input, output and errors.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        content = json.dumps(request).encode()
        with theirs, self._lock:
            sendfds(self._connection, [*handles, theirs.fileno()])
            self._connection.sendall(len(content).to_bytes(8, "big") + content)
        began = ours.recv(64)
        if not began:
            raise RuntimeError(f"{SERVER} has ended, and no process came from it")
        return ours, int(began)

    def end(self) -> None:
        """End it, and what it has forked."""
        self._connection.shutdown(socket.SHUT_RDWR)  # whoever else may hold it open
        self._connection.close()
        self._process.wait()


# There are two, taken in turn: sets and dictionaries of strings are in another order in each, as
# they are in any two interpreters, and what depends on it must not stay hidden.
_servers: List[_Server] = []
_COUNT = 2
_begun_in = dict(os.environ)
_turn = 0
_of_process = os.getpid()


def _next_server() -> Optional[_Server]:
    global _turn
    if os.getpid() != _of_process:  # the connection is the one of another process
        return None
    with _choosing:
        number, _turn = _turn % _COUNT, _turn + 1
        if number == len(_servers):
            _servers.append(_Server())
        return _servers[number]


_choosing = threading.Lock()


@atexit.register
def _end_servers() -> None:
    if os.getpid() == _of_process:
        while _servers:
            _servers.pop().end()
