"""decord: get_batch() of the keyframes nearest to the sample points, each once."""

import cv2
import decord
import job

video = decord.VideoReader(job.source, width=job.WIDTH, height=job.HEIGHT)
keys = video.get_key_indices()
wanted = sorted({min(keys, key=lambda key: abs(key - n)) for n in job.wanted(len(video), video.get_avg_fps())})
for first in range(0, len(wanted), 32):
    frames = video.get_batch(wanted[first : first + 32]).asnumpy()
    for i, rgb in enumerate(frames, first):
        job.write(i, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
