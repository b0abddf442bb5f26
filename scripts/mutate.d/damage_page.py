"""The results as tables, and docs/damage.md."""

AGREEMENTS = ["both see it", "vidgist alone sees it", "neither sees it", "begins late", "nothing to see", "missed", "false alarm"]


def table(cases, key):
    lines = [f"| {key} | files | " + " | ".join(AGREEMENTS) + " |", "|---|---:|" + "---:|" * len(AGREEMENTS)]
    groups = sorted({case[key] for case in cases})
    for name, group in [*((name, [case for case in cases if case[key] == name]) for name in groups), ("all", cases)]:
        counts = [sum(case["agreement"] == agreement for case in group) for agreement in AGREEMENTS]
        lines.append(f"| {name} | {len(group)} | " + " | ".join(str(n) for n in counts) + " |")
    return "\n".join(lines)


def frames_table(cases):
    """Of the frames that look different than in the undamaged file: how many are marked."""
    lines = ["| codec | changed frames | of these suspect | share | suspect frames that are not changed |", "|---|---:|---:|---:|---:|"]
    flipped = [case for case in cases if case["kind"] == "flipped bits"]
    for codec in sorted({case["codec"] for case in flipped}):
        of_codec = [case for case in flipped if case["codec"] == codec]
        changed, marked, suspect = (sum(case[key] for case in of_codec) for key in ("n_changed", "n_changed_suspect", "n_suspect"))
        lines.append(f"| {codec} | {changed} | {marked} | {f'{marked / changed:.0%}' if changed else ''} | {suspect - marked} |")
    return "\n".join(lines)


def tables(undamaged, cases):
    n_false = sum(case["agreement"] != "nothing to see" for case in undamaged)
    return (f"{len(undamaged)} undamaged files, {n_false} false alarms.\n\n{table(cases, 'kind')}\n\n{table(cases, 'codec')}\n\n{frames_table(cases)}")


UNSEEN = """- **Lost packets** that no other frame refers to, and lost packets of VP8, MPEG-2, MPEG-4, H.263 and WMV: the decoder continues from the
  previous frame, and most containers do not store the number of frames. H.264 and HEVC number their references, so a lost reference is
  detected.
- **Lost H.264 B-frames** that other frames refer to, if the decoder reports only a failed reference removal (`mmco: unref short failure`).
- **The cut beginning of an AVI file** without timestamps.
- **VP8, VP9, WMV, Theora and Motion JPEG** usually decode flipped bits into different pictures without an error. vidgist decodes
  Motion JPEG on several threads and does not read the log messages of those threads (`error count`, `error y=`). WMV2 logs
  `ac-tex damaged` only if ffmpeg's error detection is enabled.
- **The first keyframe of MPEG-4 or FLV1**, if it is lost (vidgist starts at the next one) or stored after the first frame that refers to it
  (the frames behind them then lack a reference).
- **Invalid reference commands of H.264** (`illegal memory management control operation`) that the decoder ignores.
- **Cut ends** of MPEG-TS, MPEG-PS, Ogg and raw streams: these formats do not store their length.
- **Cut beginnings**: vidgist starts at the first frame that can be decoded."""


def write(path, undamaged, cases, args):
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"""# Damage

`./scripts/mutate --count {len(cases)} --write` writes this page: {len(cases)} damaged copies of {len(undamaged)} fixtures (seed {args.seed}), each judged by `vidgist frames` over all its
frames and by a full decode of ffmpeg with error detection (`-err_detect crccheck+bitstream+buffer`). A file counts as damaged to ffmpeg if
it reports an error, to vidgist if the result lists something that is missing (exit code 1) or cannot be made (2).
[ADR 6](adr/0006-damage-per-frame.md) describes how frames are marked.

- *both see it*, *neither sees it*: frames are lost, or differ from those of the undamaged file, and both programs report damage, or neither does.
- *vidgist alone sees it*: lost frames that show in the container's frame counts, which a decoder does not check.
- *begins late*: the beginning is cut off. ffmpeg reports the missing references; vidgist shows only the frames that do not need them, and
  these are right.
- *missed*, *false alarm*: disagreements that are vidgist's fault. The kinds of the missed ones are listed below.

{tables(undamaged, cases)}

The last table covers the files with flipped bits. A frame counts as changed if its checksum differs from that of the undamaged
file; the table shows how many of these frames the JSON marks `suspect`.

## What is not detected

{UNSEEN}
""")
