"""video-reader-rs: scaled by its reader, get_batch() of the indices. A fourth argument: `auto` (it chooses) or `seek`."""

import sys

import cv2
import job
from video_reader import PyVideoReader

video = PyVideoReader(job.source, target_width=job.WIDTH, target_height=job.HEIGHT)
wanted = job.wanted(video.get_shape()[0], video.get_fps())
frames = video.get_batch(wanted, with_fallback=None if sys.argv[4] == "auto" else False)
for i, rgb in enumerate(frames):
    job.write(i, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
