"""What Python gives a script: its name, arguments and folder, and an exit status."""

import os
import pickle
import sys

import neighbour
import torch


class Point:
    def __init__(self, x):
        self.x = x


if __name__ == "__main__":
    print(__name__, os.path.basename(__file__), sys.argv[1:], os.path.basename(sys.path[0]))
    print(sys.modules["__main__"].Point is Point, pickle.loads(pickle.dumps(Point(4))).x)
    print(neighbour.double(torch.tensor([1.0, 2.0])))
    sys.exit(7)
