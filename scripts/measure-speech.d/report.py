"""Results as text: lines, tables, and the whole of docs/speech.md."""

from statistics import median

import corpora
import engines

BY_KEY = {engine.key: engine for engine in engines.ENGINES}
MODELS = {"tiny.en": "tiny.en (f16; int8 in faster-whisper)", "base": "base (q8_0; int8 in faster-whisper)"}

# vidgist's CPU time, in that of whisper.cpp's library.
MOST = 1.1


def line(row, found):
    """One run as it is shown while they go on."""
    head = f"{row['model']:<8} {row['corpus']:<16} {row['engine']:<13}"
    if "error" in row:
        return f"{head} {row['error']}"
    minutes = found["corpora"][row["corpus"]]["seconds"] / 60
    return (f"{head} {len(row['wrong']):3}/{row['words']:<4} wrong  CPU {row['cpu']:6.1f} s, {row['cpu'] / minutes:5.2f} a minute  "
            f"peak {row['peak_mb']:4.0f} MB  in gaps {row['in_gaps']}, on time {row['on_time']}")


def rows(found, model, engine, is_long):
    """An engine's rows: those of the long recording, or one for each corpus of clips."""
    return [row for row in found["rows"]
            if (row["model"], row["engine"], row["corpus"] == "long") == (model, engine, is_long) and "error" not in row]


def n_wrong(some):
    return sum(len(row["wrong"]) for row in some)


def percent(some):
    """The word error rate; None where nothing was heard."""
    return 100 * n_wrong(some) / sum(row["words"] for row in some) if some else None


def per_minute(found, some):
    """CPU seconds for a minute of sound: over all clips, or the median of the rounds."""
    if not some:
        return None
    if some[0]["corpus"] == "long":
        return 60 * median(row["cpu"] for row in some) / found["corpora"]["long"]["seconds"]
    return 60 * sum(row["cpu"] for row in some) / sum(found["corpora"][row["corpus"]]["seconds"] for row in some)


def measured(found, is_long):
    return [(model, engine) for model in MODELS for engine in BY_KEY.values() if rows(found, model, engine.key, is_long)]


def clips_table(found, model):
    names = [name for name in found["corpora"] if name != "long"]
    lines = ["| wrong / words | " + " | ".join(corpora.NAMES[name] for name in names) + " | all | word error rate |",
             "|---|" + "---:|" * (len(names) + 2)]
    for its, engine in measured(found, False):
        if its != model:
            continue
        some = rows(found, model, engine.key, False)
        by_corpus = {row["corpus"]: row for row in some}
        cells = [f"{len(row['wrong'])} / {row['words']}" if (row := by_corpus.get(name)) else "" for name in names]
        lines.append(f"| {engine.name.removesuffix(', held to one core')} | {' | '.join(cells)} | {n_wrong(some)} / {sum(row['words'] for row in some)} | {percent(some):.1f} % |")
    return "\n".join(lines)


def cost_table(found, model):
    lines = ["| | CPU s a minute, clips | to vidgist | CPU s a minute, long | to vidgist | peak MB |", "|---|---:|---:|---:|---:|---:|"]
    own = [per_minute(found, rows(found, model, "vidgist", is_long)) for is_long in (False, True)]
    for its, engine in measured(found, True):
        if its != model:
            continue
        cells = []
        for is_long, ours in zip((False, True), own):
            some = rows(found, model, engine.key, is_long)
            value = per_minute(found, some)
            spread = [60 * row["cpu"] / found["corpora"]["long"]["seconds"] for row in some] if is_long else []
            span = f" ({min(spread):.2f} to {max(spread):.2f})" if len(spread) > 1 else ""
            cells += ["", ""] if value is None else [f"{value:.2f}{span}", f"{value / ours:.2f}x" if ours else ""]
        peak = max(row["peak_mb"] for row in rows(found, model, engine.key, True))
        lines.append(f"| {engine.name} | {' | '.join(cells)} | {peak:.0f} |")
    return "\n".join(lines)


def long_table(found, model):
    lines = ["| | wrong / words | other word | lost | invented | in the gaps | most lost in a row | begins within 0.5 s |",
             "|---|---:|---:|---:|---:|---:|---:|---:|"]
    n_clips = sum(each["n"] for name, each in found["corpora"].items() if name != "long")
    for its, engine in measured(found, True):
        if its != model:
            continue
        row = rows(found, model, engine.key, True)[0]
        lost = sum(heard is None for _, heard, _ in row["wrong"])
        invented = sum(said is None for said, _, _ in row["wrong"])
        lines.append(f"| {engine.name} | {len(row['wrong'])} / {row['words']} | {len(row['wrong']) - lost - invented} | {lost} | {invented} | "
                     f"{row['in_gaps']} | {most_lost(row['wrong'])} | {row['on_time']} of {n_clips} |")
    return "\n".join(lines)


def most_lost(wrong):
    """The longest run of lost words: an utterance that went missing shows here."""
    lost = {place for _, heard, place in wrong if heard is None}
    most = run = 0
    for place in range(max(lost, default=-1) + 1):
        run = run + 1 if place in lost else 0
        most = max(most, run)
    return most


def tables(found):
    parts = []
    for model, title in MODELS.items():
        if measured(found, False):
            parts.append(f"### {title}: words\n\n{clips_table(found, model)}")
        if measured(found, True):
            parts.append(f"### {title}: cost\n\n{cost_table(found, model)}")
            parts.append(f"### {title}: the long recording\n\n{long_table(found, model)}")
    return "\n\n".join(parts)


def targets(found):
    """Each target with what was measured and whether it holds."""
    lines = ["| target | measured | holds |", "|---|---:|---|"]

    def add(text, value, most, unit):
        if value is None:
            lines.append(f"| {text} | not measured | |")
        else:
            lines.append(f"| {text} | {value:.{2 if unit == 'x' else 1}f}{unit} | {'yes' if value <= most else '**no**'} |")

    def of(corpus):
        return percent([row for row in rows(found, "base", "vidgist", False) if row["corpus"] == corpus])

    add("base, the default: JFK's clip without an error", of("jfk"), 0, " %")
    add("base: the NASA film at most 5 %", of("nasa"), 5, " %")
    for model, is_long in ((model, is_long) for model in MODELS for is_long in (False, True)):
        ours = percent(rows(found, model, "vidgist", is_long))
        for key in ("fw", "fw-vad", "fw-1", "fw-1-vad"):
            theirs = percent(rows(found, model, key, is_long))
            add(f"{model}, {'long recording' if is_long else 'all clips'}: at most 2 points above {BY_KEY[key].name}", None if None in (ours, theirs) else ours - theirs, 2, " points")
    for model in MODELS:
        for is_long, key in ((False, "whisper.cpp"), (True, "whisper.cpp"), (True, "whisper.cpp-alone")):
            ours, theirs = (per_minute(found, rows(found, model, its, is_long)) for its in ("vidgist", key))
            add(f"{model}, {'long recording' if is_long else 'clips'}: CPU at most {MOST}x of {BY_KEY[key].name}",
                None if None in (ours, theirs) else ours / theirs, MOST, "x")
    return "\n".join(lines)


def differences(found):
    """What vidgist heard otherwise than was said, with its default model."""
    lines = []
    for row in rows(found, "base", "vidgist", False):
        if row["wrong"]:
            told = [f"{said or '(nothing)'} → {heard or '(nothing)'}" for said, heard, _ in row["wrong"]]
            lines.append(f"- {corpora.NAMES[row['corpus']]}: {'; '.join(told)}.")
    return "\n".join(lines)


def write(path, found):
    with open(__file__.replace("report.py", "page.md"), encoding="utf-8") as file:
        page = file.read()
    machine, its = found["machine"], found["corpora"]
    whole = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['system']}; {machine['date']}"
    if machine["load"] > 0.5:
        whole += (f"; a load of {machine['load']:.1f} when it began: other work ran beside it, so that wall times are not told and CPU "
                  "times may be longer than on an idle machine, for all engines alike")
    places = {
        "{machine}": whole + ".",
        "{versions}": ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
        "{n_clips}": str(sum(each["n"] for name, each in its.items() if name != "long")),
        "{clips_minutes}": f"{sum(each['seconds'] for name, each in its.items() if name != 'long') / 60:.1f}",
        "{long_minutes}": f"{its['long']['seconds'] / 60:.1f}",
        "{rounds}": str(found["rounds"]),
        "{tables}": tables(found), "{targets}": targets(found), "{differences}": differences(found), "{ratios}": ratios(found), "{dearer}": dearer(found), "{most}": str(MOST), "{made_up}": made_up(found), "{fewer}": fewer(found),
    }
    for place, text in places.items():
        page = page.replace(place, text)
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def ratios(found):
    """vidgist's CPU time in that of faster-whisper, in words."""
    told = []
    for model in MODELS:
        ours = per_minute(found, rows(found, model, "vidgist", True))
        at_avx2 = per_minute(found, rows(found, model, "vidgist-avx2", True))
        for key, own in (("fw", ours), ("fw-1", ours), ("fw-avx2", at_avx2), ("fw-1-avx2", at_avx2)):
            theirs = per_minute(found, rows(found, model, key, True))
            if own and theirs:
                told.append(f"{own / theirs:.2f}x the CPU time of {BY_KEY[key].name}, with {model}")
    return "; ".join(told)


def dearer(found):
    """The corpora on which vidgist takes more than whisper.cpp's library is allowed to differ by."""
    told = []
    for model in MODELS:
        for name in found["corpora"]:
            ours, theirs = ([row["cpu"] for row in found["rows"] if "error" not in row and
                             (row["model"], row["engine"], row["corpus"]) == (model, key, name)] for key in ("vidgist", "whisper.cpp"))
            if ours and theirs and median(ours) > MOST * median(theirs):
                told.append(f"{corpora.NAMES[name]} with {model} ({median(ours) / median(theirs):.2f}x)")
    return ", ".join(told) or "none"


def made_up(found):
    """Invented phrases of three or more words in the long recording, by engine."""
    told = []
    for model in MODELS:
        for engine in BY_KEY.values():
            if engine.key in ("vidgist-avx2", "vidgist-all", "vidgist-auto") or not (some := rows(found, model, engine.key, True)):
                continue
            # Invented words are one phrase until the next word of the reference.
            runs = {}
            for said, heard, place in some[0]["wrong"]:
                if said is None:
                    runs.setdefault(place, []).append(heard)
            phrases = [run for run in runs.values() if len(run) >= 3]
            if phrases:
                told.append(f"{engine.name.removesuffix(', held to one core')} with {model} {len(phrases)} (such as \"{' '.join(phrases[0][:6])}\")")
    return "; ".join(told) or "none"


def fewer(found):
    """Where another engine has fewer errors than vidgist."""
    told = []
    for model, is_long in ((model, is_long) for model in MODELS for is_long in (False, True)):
        if not (ours := rows(found, model, "vidgist", is_long)):
            continue
        better = [f"{engine.name} {n_wrong(some[:1] if is_long else some)}" for engine in BY_KEY.values() if engine.kind != "vidgist"
                  and (some := rows(found, model, engine.key, is_long)) and percent(some) < percent(ours)]
        if better:
            own = n_wrong(ours[:1] if is_long else ours)
            told.append(f"{model}, {'long recording' if is_long else 'clips'} (vidgist {own}): {', '.join(better)}")
    return "; ".join(told) or "none"
