"""Two groups of languages, from the end of the alphabet."""

from dataclasses import dataclass

from fairseq_gist.policies.base import Policy, option


class Backwards(Policy):
    """Let the last languages share, and the others."""

    name = "backwards"
    summary = "share among the last languages of the alphabet, and among the others"

    @dataclass(frozen=True)
    class Options:
        """How many."""

        backwards_last: int = option(1, "how many languages are the last")

    def decide(self, situation):
        """Return the plan."""
        cut = len(situation.languages) - self.options.backwards_last
        groups = [situation.languages[:cut], situation.languages[cut:]]
        return self.plan(situation, dict.fromkeys(situation.chosen(), groups))
