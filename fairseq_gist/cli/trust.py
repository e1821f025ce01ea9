"""``--trust-checkpoint``, of every command that reads one."""

from __future__ import annotations

import argparse
from typing import Union

from fairseq_gist.host.torch_files import TRUST_FLAG

__all__ = ["add_trust_option"]


def add_trust_option(parser: Union[argparse.ArgumentParser, argparse._ArgumentGroup]) -> None:
    """Declare the option."""
    parser.add_argument(
        TRUST_FLAG,
        action="store_true",
        help="load a checkpoint that names more than tensors and settings: it can run any code",
    )
