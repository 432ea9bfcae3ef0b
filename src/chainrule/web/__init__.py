"""The local page: type a function and a point, see the derivative and how it comes about.

``server`` listens, ``guard`` refuses what does not come from this page, ``app`` routes, ``workers`` lets other
processes compute within limits, and ``answer`` is what is computed there.  ``static`` is the page itself.
"""
