"""Processes of one run that notice when another one of them is gone.

torch notices only where both are in the midst of an exchange: a process that waits for another one
to begin does so for half an hour. So each holds a connection to the first process, which ends with
whatever holds it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import selectors
import socket
import sys
import threading
import time
from typing import Any, Dict, List, Optional, Tuple

import torch.distributed
from torch.distributed import distributed_c10d

from fairseq_gist.errors import GistError

__all__ = ["Watch", "lost_line"]

logger = logging.getLogger(__name__)

_TO_JOIN = 60.0
"""Seconds in which all processes have to be there: they come out of one exchange together."""
_TO_CONNECT = 10.0
_TO_END = 10.0
"""Seconds that a process has to end by itself, once another one is gone."""
_PREFIX = "fairseq-gist-watch"
_RANK = 8
"""Characters in which a process says which one it is, or which one is gone."""
_DONE = b"-" * _RANK
"""What a process says that has done its work."""


class Watch:
    """Ends this process when another one of its run is gone, unless it ends by itself.

    Args:
        rank: of this process.
        count: of processes.
        peers: connection -> rank of the process at its other end.
    """

    def __init__(self, rank: int, count: int, peers: Dict[socket.socket, int]) -> None:
        self.rank, self.count = rank, count
        self._peers = peers
        self._is_over = threading.Event()
        self._is_lost = threading.Event()
        self._lost = 0
        self._thread = threading.Thread(target=self._watch, name="gist-watch", daemon=True)
        if hasattr(os, "register_at_fork"):  # a worker that outlives us would keep them open
            os.register_at_fork(after_in_child=self._close)
        self._thread.start()

    @classmethod
    def begin(cls, host: str) -> Optional[Watch]:
        """Connect all processes of the default group, each of which has to call this.

        Args:
            host: name or address of the first process's machine, by which others can reach it.

        Returns:
            None where nobody could connect: then torch alone notices.

        Raises:
            GistError: when a process doesn't come in a minute.
        """
        rank, count = torch.distributed.get_rank(), torch.distributed.get_world_size()
        store = torch.distributed.PrefixStore(
            _PREFIX,
            distributed_c10d._get_default_store(),  # noqa: SLF001
        )
        peers = _accept(store, count, host) if rank == 0 else _connect(store, rank)
        return cls(rank, count, peers) if peers else None

    def lost(self, seconds: float) -> Optional[int]:
        """Return which process is gone, None if none is in ``seconds`` from now."""
        return self._lost if self._is_lost.wait(seconds) else None

    def end(self, *, failed: bool) -> None:
        """Stop watching, and let the others know: this process is done, or they have to end, too.

        To be closed with its process wouldn't do: a busy machine takes seconds to end one, in which
        others have met its absence and can't say whose it is.
        """
        self._is_over.set()
        for peer in self._peers:
            with contextlib.suppress(OSError):
                if failed:
                    peer.shutdown(socket.SHUT_RDWR)
                else:
                    peer.sendall(_DONE)

    def _close(self) -> None:
        for peer in self._peers:
            peer.close()

    def _watch(self) -> None:
        waiting = selectors.DefaultSelector()
        for peer in self._peers:
            waiting.register(peer, selectors.EVENT_READ)
        while waiting.get_map():
            for key, _ in waiting.select():
                if self._is_over.is_set():
                    return
                told = _received(key.fileobj, _RANK)  # type: ignore[arg-type]
                if told != _DONE:
                    self._end_with(int(told) if told.isdigit() else self._peers[key.fileobj])  # type: ignore[index]
                    return
                waiting.unregister(key.fileobj)

    def _end_with(self, lost: int) -> None:
        self._lost = lost
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.sendall(f"{self._lost:0{_RANK}}".encode())
        self._is_lost.set()
        if not self._is_over.wait(_TO_END):
            sys.stdout.flush()
            sys.stderr.write(f"fairseq-gist: error: {lost_line(self._lost, self.count)}\n")
            sys.stderr.flush()
            os._exit(1)  # the main thread waits inside torch


def lost_line(lost: int, count: int) -> str:
    """Return what is to be said where a process is gone."""
    return (
        f"process {lost} of {count} (counted from 0) has ended before the run has, and so this one "
        "ends; what that one printed last says why, unless it was killed. The same command goes on "
        "from the last checkpoint"
    )


def _accept(store: Any, count: int, host: str) -> Dict[socket.socket, int]:
    """Return connections to all other processes; to none where one of them can't connect."""
    token = secrets.token_hex(16)
    listener = _listen(host)
    store.set("token", token)
    store.set("port", str(listener.getsockname()[1]))
    store.set("hosts", "\n".join(dict.fromkeys((host, socket.gethostname()))))
    peers: Dict[socket.socket, int] = {}
    until = time.monotonic() + _TO_JOIN
    listener.settimeout(0.5)
    with listener:
        while len(peers) < count - 1:
            with contextlib.suppress(socket.timeout):
                peer, _ = listener.accept()
                rank = _greeted(peer, token)
                if rank is not None:
                    peers[peer] = rank
                continue
            if store.add("unconnected", 0):
                logger.warning(
                    "another process can't connect to this one to notice when it ends; should one "
                    "be killed, others may wait for it for half an hour"
                )
                break
            if time.monotonic() > until:
                there = {0, *peers.values()}
                missing = sorted(set(range(count)) - there)
                raise GistError(
                    f"expected {count} processes, found {len(there)} after {_TO_JOIN:.0f} seconds: "
                    f"process {missing[0]} (counted from 0) has ended, or hangs"
                )
    is_whole = len(peers) == count - 1
    for peer in peers:
        peer.settimeout(None)
        with contextlib.suppress(OSError):
            peer.sendall(b"y" if is_whole else b"n")
    return peers if is_whole else {}


def _listen(host: str) -> socket.socket:
    """Return a socket at a free port of ``host``, or of all interfaces where that isn't one."""
    for address in (host, ""):
        with contextlib.suppress(OSError):
            [(family, *_, where), *_] = socket.getaddrinfo(
                address or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            return socket.create_server(where[:2], family=family)
    return socket.create_server(("", 0))


def _greeted(peer: socket.socket, token: str) -> Optional[int]:
    """Return which process is at the other end; None, and close it, where it is none of ours."""
    peer.settimeout(_TO_CONNECT)
    told = _received(peer, len(token) + _RANK)
    if not secrets.compare_digest(told[: len(token)], token.encode()) or not told[-1:].isdigit():
        peer.close()
        return None
    _keep_alive(peer)
    return int(told[len(token) :])


def _connect(store: Any, rank: int) -> Dict[socket.socket, int]:
    """Return the connection to the first process; none where there is no way."""
    token, port = store.get("token").decode(), int(store.get("port"))
    for host in store.get("hosts").decode().split("\n"):
        with contextlib.suppress(OSError):
            first = socket.create_connection((host, port), timeout=_TO_CONNECT)
            first.sendall(f"{token}{rank:0{_RANK}}".encode())
            first.settimeout(_TO_JOIN)
            answer = first.recv(1)
            if answer == b"y":
                first.settimeout(None)
                _keep_alive(first)
                return {first: 0}
            first.close()
            if answer == b"n":
                return {}
    store.add("unconnected", 1)
    return {}


def _received(peer: socket.socket, size: int) -> bytes:
    told = b""
    with contextlib.suppress(OSError):
        while len(told) < size:
            more = peer.recv(size - len(told))
            if not more:
                break
            told += more
    return told


_IDLE: List[Tuple[str, int]] = [("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)]


def _keep_alive(peer: socket.socket) -> None:
    """Have a machine that is gone without a word noticed after two minutes."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _IDLE:
        if hasattr(socket, name):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
