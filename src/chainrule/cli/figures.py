"""A matplotlib backend without windows: what ``plt.show()`` would open goes to ``plots``.

matplotlib imports this module by its name; nothing else may, for it needs matplotlib.
"""

from __future__ import annotations

from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

from . import plots


class FigureManager(FigureManagerBase):
    """Stands where a window would."""

    def show(self) -> None:
        """Hand the figure on, instead of opening its window."""
        plots.show(self.canvas.figure)

    @classmethod
    def start_main_loop(cls) -> None:
        """Close the figures at once, as the user would have closed the windows: the next plot is a new one."""
        Gcf.destroy_all()


class FigureCanvas(FigureCanvasAgg):
    """Agg's canvas, with the manager above."""

    manager_class = FigureManager
