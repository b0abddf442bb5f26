"""What `vidgist frames` costs against the length of the input and against the interval."""

import os
import shutil
from fractions import Fraction
from statistics import median

import inputs
import measure
import peers
import plot

LENGTHS = [1, 2, 5, 10, 30, 60, 120]
INTERVALS = ["1/2", "1", "2", "3", "5", "73/10", "10", "15", "20", "317/10", "45", "60"]
LENGTH_INTERVAL, INTERVAL_MINUTES = Fraction(5), 10


def run(vidgist, folder, rounds):
    """Measures both."""
    jobs = [("length", minutes, minutes, LENGTH_INTERVAL) for minutes in LENGTHS]
    jobs += [("interval", each, INTERVAL_MINUTES, Fraction(each)) for each in INTERVALS]
    points = {}
    for turn in range(rounds):
        for kind, x, minutes, interval in jobs:
            source, out = inputs.clip(folder, minutes), os.path.join(folder, "out")
            for leftover in (out, os.path.join(folder, "cache")):
                shutil.rmtree(leftover, ignore_errors=True)
            measure.read_once(source)
            found = measure.measure(peers.VIDGIST.arguments(vidgist, folder, source, out, interval), peers.environment(folder, peers.VIDGIST))
            if "error" in found:
                raise SystemExit(f"bench: {minutes} min at {interval} s: {found['error']}")
            if minutes > 10:
                # Some gigabytes that are made again in seconds.
                os.remove(source)
            print(f"round {turn + 1}  {minutes:>4} min  each {float(interval):>5g} s  CPU {found['cpu']:6.1f} s  wall {found['wall']:6.1f} s  "
                  f"peak {found['peak_mb']:5.0f} MB", flush=True)
            points.setdefault((kind, x), []).append(found)
    shutil.rmtree(os.path.join(folder, "out"), ignore_errors=True)
    grown = {"rounds": rounds}
    for kind, key in (("length", "minutes"), ("interval", "interval")):
        grown[kind] = [{key: x} | {what: median(found[what] for found in runs) for what in ("cpu", "wall", "peak_mb")}
                       for (of, x), runs in points.items() if of == kind]
    clip = inputs.clip(folder, INTERVAL_MINUTES)
    for point in grown["interval"]:
        point["n_needed"], point["n_kept"] = inputs.needed(clip, Fraction(point["interval"]))
    return grown | inputs.facts(clip)


def least_squares(rows, values):
    """Factors whose sum of products with each row is nearest to the values (normal equations, Gaussian elimination)."""
    n = len(rows[0])
    system = [[sum(row[i] * row[j] for row in rows) for j in range(n)] + [sum(row[i] * value for row, value in zip(rows, values))]
              for i in range(n)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda k: abs(system[k][i]))
        system[i], system[pivot] = system[pivot], system[i]
        for k in range(n):
            if k != i:
                factor = system[k][i] / system[i][i]
                system[k] = [a - factor * b for a, b in zip(system[k], system[i])]
    return [system[i][n] / system[i][i] for i in range(n)]


def text(folder, grown):
    """Draws both pictures and explains them."""
    length, interval = grown["length"], grown["interval"]
    minutes = [point["minutes"] for point in length]
    seconds = [float(Fraction(point["interval"])) for point in interval]

    def series(points, what):
        return [point[what] for point in points]

    slope, fixed = least_squares([[each, 1] for each in minutes], series(length, "cpu"))
    # On a noisy machine the line can meet the axis below 0.
    besides = f" and {fixed:.2f} s besides" if fixed > 0 else ""
    off = max(abs(point["cpu"] / (slope * point["minutes"] + fixed) - 1) for point in length if point["minutes"] >= 5)
    plot.write(os.path.join(folder, "growth-length.svg"), f"vidgist frames: cost against length (one frame each {LENGTH_INTERVAL} s)",
               "length of the video, min", minutes, [0, 30, 60, 90, 120], [
        {"label": "time, s", "series": {"CPU": series(length, "cpu"), "wall": series(length, "wall")}},
        {"label": "peak memory, MB", "series": {"peak memory": series(length, "peak_mb")}}])

    # Weighted by 1 / CPU: the short runs count as much as the long ones.
    rows = [[1, point["n_needed"], point["n_kept"]] for point in interval]
    base, per_needed, per_kept = least_squares([[each / point["cpu"] for each in row] for row, point in zip(rows, interval)], [1] * len(rows))
    worst = max(abs((base + per_needed * point["n_needed"] + per_kept * point["n_kept"]) / point["cpu"] - 1) for point in interval)
    shown = [{"x": each, **point} for each, point in zip(seconds, interval)]
    plot.write(os.path.join(folder, "growth-interval.svg"), f"vidgist frames: cost against interval ({INTERVAL_MINUTES} min of video)",
               "interval, s (logarithmic)", seconds, [0.5, 1, 2, 5, 10, 20, 60], [
        {"label": "time, s", "series": {"CPU": series(interval, "cpu"), "wall": series(interval, "wall")}},
        {"label": "frames that must be decoded, %", "series": {"share": [100 * point["n_needed"] / grown["n_frames"] for point in interval]}},
        {"label": "peak memory, MB", "series": {"peak memory": series(interval, "peak_mb")}}], is_logarithmic=True)
    peaks = [round(f(series(length, "peak_mb"))) for f in (min, max)]
    return f"""## Growth

{'One round' if grown['rounds'] == 1 else f"Medians of {grown['rounds']} rounds"}, {grown['machine']['date']}, vidgist {grown['versions']['vidgist']}.

![CPU time, wall time and memory against the length of the video](growth-length.svg)

**Length.** At one frame each {LENGTH_INTERVAL} s, CPU time is {slope:.2f} s for each minute of video{besides}; from 5 min on no
point is farther than {100 * off:.0f} % from this line. Each GOP is planned and decoded for itself, so twice the length is twice the work.
Memory is {peaks[0]} to {peaks[1]} MB: frames are written as they come, and what stays is the index, some bytes for each packet.

![CPU time, wall time and share of decoded frames against the interval](growth-interval.svg)

**Interval.** What must be decoded follows from the H.264 stream: of each GOP that holds a wanted frame, the frames that others
refer to, from the keyframe up to the last wanted frame; frames that nothing refers to only where they are wanted. With keyframes
{grown['n_frames'] / grown['n_keyframes'] / inputs.FPS:.1f} s apart on average, hardly a GOP is left out while the interval is shorter than this: a longer interval then saves
the ends of GOPs, scaling and JPEG. Beyond it whole GOPs are left out, and the cost falls as the interval grows, down to what it takes to
find out where the frames are. The cost of all these runs is {1000 * per_needed:.2f} ms for each frame that must be decoded, {1000 * per_kept:.2f} ms for each that is
kept (scaled, scored, encoded, written), and {base:.2f} s besides (index, start); no point is farther than {100 * worst:.0f} % from it.

| interval | frames kept | must be decoded | CPU s | wall s | peak MB |
|---:|---:|---:|---:|---:|---:|
""" + "\n".join(f"| {point['x']:g} s | {point['n_kept']:,} | {point['n_needed']:,} of {grown['n_frames']:,} | {point['cpu']:.1f} | {point['wall']:.1f} | "
                f"{point['peak_mb']:.0f} |" for point in shown) + f"""

| length | CPU s | wall s | peak MB |
|---:|---:|---:|---:|
""" + "\n".join(f"| {point['minutes']} min | {point['cpu']:.1f} | {point['wall']:.1f} | {point['peak_mb']:.0f} |" for point in length)
