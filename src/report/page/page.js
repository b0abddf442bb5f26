"use strict";
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const element = (name, properties) => Object.assign(document.createElement(name), properties);
  // "1:04:12.5" in seconds.
  const seconds = (label) => {
    const value = label.replace("-", "").split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
    return label.startsWith("-") ? -value : value;
  };
  const strip = one("#strip"), list = one("#lines"), player = one("#player"), overview = one("#overview");
  const figure = one("#stage"), now = one("#now"), search = one("#search"), follow = one("#follow");
  const wide = matchMedia("(min-width: 60rem)");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  document.documentElement.classList.add("scripted");

  // The time of each frame and line becomes a link. One of each list is a stop of the Tab key; arrow keys reach the others.
  const items = new Map();
  const read = (elements, makeLink) => elements.map((item) => {
    const label = one("b", item), link = element("a", { href: `#${item.id}`, tabIndex: -1 });
    makeLink(item, label, link);
    const found = { item, link, time: seconds(label.textContent), label: label.textContent, image: one("img", item) };
    items.set(item, found);
    return found;
  });
  const frames = read(strip ? all("li", strip) : [], (item, label, link) => {
    link.append(...item.childNodes);
    item.append(link);
  });
  const lines = read(list ? all("li[id]", list) : [], (item, label, link) => {
    link.append(label.textContent);
    label.replaceWith(link);
  });
  const textOf = (line) => line.item.textContent.slice(line.label.length).trim();
  const current = { frame: null, line: null };

  // The last frame or line that begins at or before a time. Labels are cut to tenths of a second.
  const lastAt = (list, time) => {
    let from = 0, to = list.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (list[middle].time <= time + 0.06) from = middle + 1; else to = middle;
    }
    return list[from - 1];
  };

  const mark = (kind, found, list) => {
    const before = current[kind];
    if (before === found) return false;
    if (before) {
      before.item.classList.remove("on");
      before.item.removeAttribute("aria-current");
    }
    current[kind] = found;
    if (found) {
      found.item.classList.add("on");
      found.item.setAttribute("aria-current", "true");
      stop(list, found);
    }
    return true;
  };
  const stop = (list, found) => {
    for (const other of list) other.link.tabIndex = -1;
    if (found) found.link.tabIndex = 0;
  };
  const behavior = (distance = 0) => (calm.matches || Math.abs(distance) > 3000 ? "instant" : "smooth");
  const scrollStrip = ({ item }) => {
    const left = item.offsetLeft - (strip.clientWidth - item.offsetWidth) / 2;
    strip.scrollTo({ left, behavior: behavior(left - strip.scrollLeft) });
  };
  const scrollLines = ({ item }) => {
    const top = item.offsetTop - list.clientHeight / 3;
    list.scrollTo({ top, behavior: behavior(top - list.scrollTop) });
  };

  const show = (frame) => {
    if (!figure || !frame?.image) return;
    const number = frame.item.id.slice(1);
    Object.assign(one("img", figure), { src: frame.image.src, alt: `Frame #${number} at ${frame.label}` });
    one("figcaption", figure).textContent = `#${number} at ${frame.label}`;
    figure.hidden = Boolean(player && player.tagName === "VIDEO" && !player.error);
  };

  // Selects a time: its frame and its line, or the given one of them.
  const select = (time, { frame = lastAt(frames, time), line = lastAt(lines, time), scrolls = true } = {}) => {
    if (mark("frame", frame, frames) && frame) {
      scrollStrip(frame);
      show(frame);
    }
    if (mark("line", line, lines) && line && scrolls && wide.matches) scrollLines(line);
    if (now) {
      const { start, length } = overview.dataset;
      const at = ((time - start) / length) * 1000;
      for (const name of ["x1", "x2"]) now.setAttribute(name, Math.max(0, Math.min(1000, at)));
      now.removeAttribute("hidden");
    }
  };
  const choose = (found) => select(found.time, frames.includes(found) ? { frame: found } : { line: found });

  // Where Escape leads back to.
  let origin = null;
  const go = (found, from) => {
    choose(found);
    if (player) player.currentTime = Math.max(0, found.time) + 0.05;
    if (!from || from === found.link) return;
    origin = from;
    const target = current.line && wide.matches ? current.line : found;
    target.link.focus({ preventScroll: true });
    if (!wide.matches) found.item.scrollIntoView({ block: "center", behavior: behavior() });
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const found = items.get(document.getElementById(link.hash.slice(1)));
    if (!found) return;
    event.preventDefault();
    hide();
    if (location.hash !== link.hash) history.pushState(null, "", link.hash);
    go(found, link);
  });
  const toHash = () => {
    const found = items.get(document.getElementById(location.hash.slice(1)));
    if (found) choose(found);
    return found;
  };
  addEventListener("popstate", toHash);

  // A card with the frame and the line that a citation names.
  const card = element("div", { id: "card", hidden: true });
  card.setAttribute("role", "tooltip");
  const picture = element("img", { alt: "" }), words = element("p");
  card.append(picture, words);
  document.body.append(card);
  let timer = 0, opened = null;
  const hide = () => {
    clearTimeout(timer);
    opened?.removeAttribute("aria-describedby");
    opened = null;
    card.hidden = true;
  };
  const open = (link) => {
    const found = items.get(document.getElementById(link.hash.slice(1)));
    if (!found) return;
    hide();
    const isFrame = frames.includes(found);
    const frame = isFrame ? found : lastAt(frames, found.time), line = isFrame ? lastAt(lines, found.time) : found;
    picture.hidden = !frame?.image;
    if (frame?.image) Object.assign(picture, { src: frame.image.src, alt: `Frame #${frame.item.id.slice(1)} at ${frame.label}` });
    // What was said long before a frame says nothing about it.
    const isNear = line && found.time - line.time < 30;
    words.textContent = isNear ? `${line.label} ${textOf(line)}` : found.label;
    opened = link;
    link.setAttribute("aria-describedby", "card");
    card.hidden = false;
    const at = link.getClientRects()[0] ?? link.getBoundingClientRect();
    const fits = at.top > card.offsetHeight + 12;
    card.style.left = `${Math.max(8, Math.min(innerWidth - card.offsetWidth - 8, at.left))}px`;
    card.style.top = `${fits ? at.top - card.offsetHeight - 6 : at.bottom + 6}px`;
  };
  const later = (work, wait) => {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  };
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const link = event.target.closest?.(".cite");
    if (link && link !== opened) later(() => open(link), 120);
    else if (link || card.contains(event.target)) clearTimeout(timer);
    else if (opened && document.activeElement !== opened) later(hide, 200);
    else if (!opened) clearTimeout(timer);
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.matches(".cite:focus-visible")) open(event.target); else if (opened) hide();
  });
  addEventListener("scroll", () => opened && hide(), { passive: true });

  // Arrow keys within the strip and the transcript.
  const rove = (container, list, back, forth) => {
    if (!list.length) return;
    stop(list, list[0]);
    container.addEventListener("keydown", (event) => {
      const at = list.findIndex(({ link }) => link === document.activeElement);
      const step = { [back]: -1, [forth]: 1 }[event.key];
      if (at < 0 || !step || event.ctrlKey || event.metaKey || event.altKey) return;
      let next = at + step;
      while (list[next]?.item.hidden) next += step;
      if (!list[next]) return;
      event.preventDefault();
      stop(list, list[next]);
      list[next].link.focus();
    });
  };
  if (strip) rove(strip, frames, "ArrowLeft", "ArrowRight");
  if (list) rove(list, lines, "ArrowUp", "ArrowDown");

  // Search: lines without the words are hidden, and the words are marked where the browser can.
  const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  if (search) {
    const rows = all("li", list), count = one("#count");
    let texts = null;
    one(".find").hidden = false;
    const find = () => {
      const wanted = fold(search.value.trim());
      texts ??= rows.map((row) => fold(row.textContent));
      let n = 0;
      rows.forEach((row, at) => {
        const isFound = texts[at].includes(wanted);
        row.hidden = !isFound;
        n += isFound ? 1 : 0;
      });
      count.textContent = wanted ? `${n} of ${rows.length} lines` : "";
      const first = lines.find(({ item }) => !item.hidden);
      if (!current.line || current.line.item.hidden) stop(lines, first);
      // As written: the offsets of folded text are not those of the text, and folded Hangul has other letters.
      highlight(search.value.trim().toLowerCase(), rows);
      if (!wanted && current.line && wide.matches) scrollLines(current.line);
    };
    search.addEventListener("input", find);
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "ArrowDown") {
        event.preventDefault();
        lines.find(({ item }) => !item.hidden)?.link.focus();
      } else if (event.key === "Escape" && search.value) {
        event.stopPropagation();
        search.value = "";
        find();
      }
    });
  }
  function highlight(wanted, rows) {
    if (!globalThis.Highlight) return;
    CSS.highlights.delete("found");
    const ranges = [];
    for (const row of wanted ? rows : []) {
      if (row.hidden || ranges.length > 2000) continue;
      for (const node of row.childNodes) {
        if (node.nodeType !== Node.TEXT_NODE) continue;
        const text = node.data.toLowerCase();
        if (text.length !== node.data.length) continue;
        for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
          ranges.push(new StaticRange({ startContainer: node, startOffset: at, endContainer: node, endOffset: at + wanted.length }));
        }
      }
    }
    if (ranges.length) CSS.highlights.set("found", new Highlight(...ranges));
  }
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches?.("input, textarea, select");
    if (event.key === "/" && search && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "Escape") {
      if (opened) hide();
      else if (origin) {
        origin.focus();
        origin = null;
      }
    }
  });

  // The timeline and the player.
  if (overview && (frames.length || lines.length)) {
    overview.classList.add("seeks");
    overview.addEventListener("click", (event) => {
      const { left, width } = overview.getBoundingClientRect();
      const time = Number(overview.dataset.start) + ((event.clientX - left) / width) * overview.dataset.length;
      select(time);
      if (player) player.currentTime = Math.max(0, time);
    });
  }
  if (player) {
    player.addEventListener("timeupdate", () => select(player.currentTime, { scrolls: follow?.checked }));
    player.addEventListener("error", () => {
      one("#unplayable").hidden = false;
      show(current.frame);
    });
  }

  // Pictures that were not shown yet are printed too.
  addEventListener("beforeprint", () => {
    for (const { image } of frames) if (image) image.loading = "eager";
  });

  // What is shown at first: the place that the address names, else the clearest frame.
  if (!toHash()) show(items.get(document.getElementById(figure?.dataset.first)) ?? frames[0]);
})();
