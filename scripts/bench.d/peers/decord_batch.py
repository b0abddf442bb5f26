"""decord: scaled by its reader, get_batch() of the indices, 32 at a time so that memory stays small."""

import cv2
import decord
import job

video = decord.VideoReader(job.source, width=job.WIDTH, height=job.HEIGHT)
wanted = job.wanted(len(video), video.get_avg_fps())
for first in range(0, len(wanted), 32):
    frames = video.get_batch(wanted[first : first + 32]).asnumpy()
    for i, rgb in enumerate(frames, first):
        job.write(i, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
