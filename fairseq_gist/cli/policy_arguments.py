"""The options of the policies on the command line, made of what each policy says of its own."""

from __future__ import annotations

import argparse
from typing import Any, Dict

from fairseq_gist.policies import PolicyOption, policy_options, policy_with
from fairseq_gist.policies.base import Policy

__all__ = ["add_policy_arguments", "chosen_policy"]


def add_policy_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of all the policies; what isn't given is None."""
    group = parser.add_argument_group("options of policies")
    for option in policy_options().values():
        group.add_argument(
            f"--{option.name.replace('_', '-')}",
            help=option.help.replace("%", "%%"),
            **_kind_of(option),
        )


def _kind_of(option: PolicyOption) -> Dict[str, Any]:
    if option.kind is bool:
        return {"action": "store_const", "const": not option.default}
    choices, metavar = option.metadata["choices"], option.metadata["metavar"]
    if choices:
        return {"choices": choices}
    return {"type": option.kind, "metavar": metavar}


def chosen_policy(args: argparse.Namespace) -> Policy:
    """Return the policy that the options name, with what they say of it.

    Raises:
        OptionError: for an option that the policy doesn't read, or that can't be.
    """
    found = {name: getattr(args, name) for name in policy_options()}
    return policy_with(args.policy, {k: value for k, value in found.items() if value is not None})
