"""MuST-C's layout, by another name."""

from fairseq_gist.preparing.layouts.mustc import MustC


class Lines(MustC):
    """The same."""

    name = "lines"
    summary = "as MuST-C"


LAYOUT = Lines
