"""What the peers share: their arguments, which frames are wanted, and writing a picture."""

import math
import sys
from fractions import Fraction

import cv2

WIDTH, HEIGHT = 768, 432

source, folder = sys.argv[1:3]
interval = Fraction(sys.argv[3])


def wanted(n_frames, fps):
    """Numbers of the frames on the screen at 0, interval, 2 * interval ...; the frame rate is constant."""
    step = interval * Fraction(fps).limit_denominator(1001)
    return [math.floor(i * step) for i in range(math.ceil(n_frames / step))]


def write(i, bgr):
    # 85 with chroma at half resolution, as vidgist writes; OpenCV's encoder is the fastest that these tools' users have.
    cv2.imwrite(f"{folder}/{i:06}.jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 85])
