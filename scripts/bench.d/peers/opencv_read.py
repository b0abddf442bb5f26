"""opencv-python as tutorials show it: read() every frame, keep each Nth."""

import cv2
import job

video = cv2.VideoCapture(job.source)
wanted = job.wanted(int(video.get(cv2.CAP_PROP_FRAME_COUNT)), video.get(cv2.CAP_PROP_FPS))
n = i = 0
while i < len(wanted):
    ok, frame = video.read()
    if not ok:
        break
    if n == wanted[i]:
        job.write(i, cv2.resize(frame, (job.WIDTH, job.HEIGHT)))
        i += 1
    n += 1
