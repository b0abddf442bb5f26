"""Word errors: texts to plain words, and what differs between what was said and what was heard."""

import re

SMALL = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
         "eighteen nineteen").split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth"}
SAME = {"mr": "mister", "mrs": "missus", "dr": "doctor"}


def spell(number):
    """A number below ten thousand in words, years as they are said."""
    if number < 20:
        return [SMALL[number]]
    if number < 100:
        return [TENS[number // 10], *([SMALL[number % 10]] if number % 10 else [])]
    if 1100 <= number < 2000 and number % 100 >= 10:
        return spell(number // 100) + spell(number % 100)
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    return [*spell(number // size), name, *(spell(number % size) if number % size else [])]


def ordinal(number):
    *first, last = spell(number)
    return [*first, ORDINALS.get(last, last[:-1] + "ieth" if last.endswith("y") else last + "th")]


def plain(text):
    """Words in lower case, without punctuation, numbers spelled out. Spellings ("wood cutters") are left as they are."""
    text = re.sub(r"[^a-z0-9 ]", " ", re.sub("['’]", "", text.lower()))
    found = []
    for word in text.split():
        number = re.fullmatch(r"(\d{1,4})(st|nd|rd|th)?", word)
        if number:
            found += (ordinal if number[2] else spell)(int(number[1]))
        else:
            found.append(SAME.get(word, word))
    return found


def errors(said, heard):
    """Substituted, dropped and invented words, and each difference as (said, heard, place), with None where
    nothing is; the place is the number of the words said before."""
    said, heard = plain(said), plain(heard)
    rows = [list(range(len(heard) + 1))]
    for i, word in enumerate(said):
        rows.append([i + 1])
        for j, other in enumerate(heard):
            rows[-1].append(min(rows[i][j + 1] + 1, rows[-1][j] + 1, rows[i][j] + (word != other)))
    i, j, found = len(said), len(heard), []
    while i or j:
        if i and j and rows[i][j] == rows[i - 1][j - 1] + (said[i - 1] != heard[j - 1]):
            i, j = i - 1, j - 1
            if said[i] != heard[j]:
                found.append((said[i], heard[j], i))
        elif i and rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
            found.append((said[i], None, i))
        else:
            j -= 1
            found.append((None, heard[j], i))
    return len(said), found[::-1]
