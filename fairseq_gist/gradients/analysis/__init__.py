"""Analyses of gradient statistics: what the languages' gradients on one unit say, and how surely.

Three questions of Sun & Nakamura, "Gradient-Informed Training for Low-Resource Multilingual Speech
Translation" (2026): which languages belong together (``clustering``), how much more alike a
language's gradients are to themselves than to others (``divergence``, and ``capacity`` for what
follows from it), and in which directions they lie (``factorization``, ``directions``,
``canonical``, ``subspaces``). ``docs/analyses.md`` says what each can tell and what it can't.
"""
