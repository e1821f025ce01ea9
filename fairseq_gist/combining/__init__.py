"""How the gradients of the languages are put together: as their sum, or so that conflicts are less.

This changes no model. It is what is often called gradient surgery, and what splitting a model has
to be compared with.
"""
