"""Which frames are in a folder of pictures: reads the number that each carries and compares the pictures with others of the same.

    check.py FOLDER REFERENCE N_BITS SQUARE_PX WIDTH < JSON list of the numbers expected

Prints JSON: `n` pictures, their `numbers`, `n_right` with the expected number, `psnr` in dB against those in REFERENCE: the worst (None: nothing
to compare with, or the same).
"""

import json
import pathlib
import sys

import cv2
import numpy

folder, reference = map(pathlib.Path, sys.argv[1:3])
n_bits, square, width = map(int, sys.argv[3:6])
expected = json.load(sys.stdin)


def number(picture):
    scale = picture.shape[1] / width
    middle = lambda position: slice(int((position - 5) * scale), int((position + 5) * scale) + 1)
    bits = (picture[middle(square // 2), middle(square * bit + square // 2)].mean() > 128 for bit in range(n_bits))
    return sum(int(is_set) << bit for bit, is_set in enumerate(bits))


files, others = sorted(folder.glob("*.jpg")), sorted(reference.glob("*.jpg"))
n_right, worst, numbers = 0, numpy.inf, []
for i, file in enumerate(files):
    picture = cv2.imread(str(file))
    numbers.append(number(picture))
    n_right += i < len(expected) and numbers[i] == expected[i]
    if folder != reference and i < len(others):
        other = cv2.imread(str(others[i]))
        if other.shape == picture.shape:
            worst = min(worst, cv2.PSNR(picture, other))
print(json.dumps({"n": len(files), "n_right": n_right, "numbers": numbers, "psnr": None if numpy.isinf(worst) else round(float(worst), 1)}))
