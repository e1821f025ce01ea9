"""Checking that the language ids of a batch are those that its language tags name."""

from __future__ import annotations

from typing import Optional, Sequence

from torch import Tensor

from fairseq_gist.errors import RoutingError
from fairseq_gist.nn.routing import LanguageBatch
from fairseq_gist.nn.rows import known_values, remember, values_of

__all__ = ["check_tags", "tag_places"]


def tag_places(prev_output_tokens: Tensor) -> Tensor:
    """Return the token that each row of the decoder's input has where a tag would be, `[rows]`.

    What ``prev_output_tokens``, `[rows, tokens]`, remembers is that.
    """
    known, tokens = known_values(prev_output_tokens), prev_output_tokens[:, 1]
    return tokens if known is None else remember(tokens, known)


def check_tags(batch: LanguageBatch, tokens: Tensor, tags: Sequence[Optional[int]]) -> None:
    """Compare the languages of the rows with the tags in front of their targets.

    Rows without a tag there pass: not every vocabulary has tags.

    Args:
        batch: the languages of the rows.
        tokens: the token in whose place a tag would be, `[rows]`.
        tags: the tag's token for each language, `[languages]`; None for one without a tag. Pairs of
            languages with one target have the same.

    Raises:
        RoutingError: when a row has the tag of another language.
    """
    language_of = {tag: language for language, tag in enumerate(tags) if tag is not None}
    if not language_of:
        return
    ids = batch.ids(tokens.size(0), "language tags")
    for row, token in enumerate(values_of(tokens)):
        if token in language_of and token != tags[ids[row]]:
            raise RoutingError(
                f"row {row} of the batch has lang_ids {ids[row]} "
                f"('{batch.languages[ids[row]]}'), but its target begins with the tag of "
                f"'{batch.languages[language_of[token]]}'; lang_ids must follow every reordering "
                "of the rows"
            )
