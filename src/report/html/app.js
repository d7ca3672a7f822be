"use strict";
// Everything from evidence reaches the page as text, never as markup.
(() => {
  const PAGE = 50, TOGETHER = 250;
  const byId = (id) => document.getElementById(id);
  const data = (id) => JSON.parse(byId(id).textContent);
  const titles = new Map(data("titles"));
  const rows = data("rows").map((cells, number) => ({ cells, number, text: null }));
  const body = document.querySelector("#table tbody");
  const heads = [...document.querySelectorAll("#table thead th")];
  const state = { page: 0, column: 0, down: false, shown: rows };
  const SUPPORT = ["", "weak", "moderate", "strong", "very strong"];

  // Characters that hide or reorder text are shown by their number.
  const HOSTILE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;
  const visible = (text) => String(text).replace(HOSTILE, (c) => `\\u{${c.charCodeAt(0).toString(16)}}`);
  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    element.append(...children.filter((child) => child !== null && child !== undefined)
      .map((child) => (child instanceof Node ? child : visible(child))));
    return element;
  };
  const draw = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = visible(text);
    return element;
  };
  const list = (items, tag) => make(tag || "ul", {}, ...items.map((item) => make("li", {}, item)));

  // Filters.
  const COLUMNS = { "f-class": 1, "f-mechanism": 2, "f-principal": 6, "f-bucket": 7, "f-media": 8 };
  for (const [id, column] of Object.entries(COLUMNS)) {
    const values = [...new Set(rows.map((row) => row.cells[column]))].filter((value) => value !== "").sort();
    for (const value of values) byId(id).append(make("option", { value }, column === 1 ? titles.get(value) : value));
  }
  const textOf = (row) => (row.text ??= row.cells.join("\n").toLowerCase() + "\n" + titles.get(row.cells[1]).toLowerCase());
  const filter = () => {
    const words = byId("f-text").value.toLowerCase().split(/\s+/).filter((word) => word);
    const wanted = Object.entries(COLUMNS).map(([id, column]) => [column, byId(id).value]).filter(([, value]) => value);
    const from = byId("f-from").value, to = byId("f-to").value;
    state.shown = rows.filter((row) =>
      wanted.every(([column, value]) => row.cells[column] === value) &&
      (!from || row.cells[0] >= from) && (!to || (row.cells[0] !== "" && row.cells[0] <= to + "Z")) &&
      words.every((word) => textOf(row).includes(word)));
    state.page = 0;
    sort();
  };
  const sort = () => {
    const { column, down } = state;
    const key = (row) => (column === 3 ? SUPPORT.indexOf(row.cells[3]) : row.cells[column]);
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      // What is unknown comes last, whichever way.
      if ((x === "") !== (y === "")) return x === "" ? 1 : -1;
      const order = x < y ? -1 : x > y ? 1 : 0;
      return (down ? -order : order) || a.number - b.number;
    };
    state.shown = [...state.shown].sort(compare);
    heads.forEach((head, n) => head.setAttribute("aria-sort", n === column ? (down ? "descending" : "ascending") : "none"));
    show();
  };

  // The table.
  const show = () => {
    const pages = Math.max(1, Math.ceil(state.shown.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    const some = state.shown.slice(state.page * PAGE, (state.page + 1) * PAGE);
    body.replaceChildren(...some.map(line));
    byId("count").textContent = `${state.shown.length} of ${rows.length} failures`;
    byId("page").textContent = `Page ${state.page + 1} of ${pages}`;
    byId("before").disabled = state.page === 0;
    byId("after").disabled = state.page === pages - 1;
  };
  const moment = (time) => time.replace("T", " ").replace("Z", "");
  const line = (row) => {
    const open = make("button", { type: "button", class: "open", "aria-expanded": "false" }, moment(row.cells[0]) || "time unknown");
    const element = make("tr", {}, make("th", { scope: "row" }, open),
      make("td", {}, make("span", { class: "class c-" + row.cells[1] }, titles.get(row.cells[1]))),
      ...row.cells.slice(2, heads.length).map((cell, n) => make("td", {}, n === 0 || n === 7 ? cell.replaceAll("_", " ") : n === 9 ? moment(cell) : cell)));
    open.addEventListener("click", () => toggle(row, open, element));
    return element;
  };
  const toggle = async (row, button, element) => {
    if (button.getAttribute("aria-expanded") === "true") {
      element.nextSibling.remove();
      button.setAttribute("aria-expanded", "false");
      button.removeAttribute("aria-controls");
      return;
    }
    button.setAttribute("aria-expanded", "true");
    const id = "card-" + row.number;
    const cell = make("td", { colspan: heads.length, id }, make("p", {}, "Opening…"));
    button.setAttribute("aria-controls", id);
    element.after(make("tr", { class: "opened" }, cell));
    try {
      const together = await unpacked(Math.floor(row.number / TOGETHER));
      cell.replaceChildren(card(together, row.number % TOGETHER));
    } catch (error) {
      cell.replaceChildren(make("p", { class: "warn" }, `This card cannot be opened: ${error}. A newer browser may be needed.`));
    }
  };

  // Cards.
  const packs = new Map();
  const unpacked = (number) => {
    if (!packs.has(number)) packs.set(number, unpack(byId("cards-" + number).textContent));
    return packs.get(number);
  };
  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const together = JSON.parse(await new Response(stream).text());
    together.records = new Map(together.records.map((record) =>
      ["ev:" + record.sha256.slice(0, 16), { ...record, file: together.files[record.file] }]));
    return together;
  };
  const fact = (name, value) => (value === null || value === "" ? [] : [make("dt", {}, name), make("dd", {}, value)]);
  const card = ({ failures, cards, records }, place) => {
    const failure = failures[place], { marks, more } = cards[place];
    const { timeouts, forbidden, conflicts, other } = failure.symptoms;
    const element = make("article", { class: "card", "aria-label": "Verdict card of " + failure.failure_id });
    const verdict = titles.get(failure.class) + (failure.mechanism ? ": " + failure.mechanism.replaceAll("_", " ") : "") +
      (failure.support ? `, support ${failure.support.replace("_", " ")}` : "");
    element.append(make("h3", {}, verdict));
    if (failure.reason) element.append(make("p", {}, "Why the evidence does not decide: " + failure.reason + "."));
    element.append(make("dl", { class: "facts" },
      ...fact("Failure", failure.failure_id), ...fact("Job", failure.job_id), ...fact("Recording", failure.recording_id),
      ...fact("Conversation", failure.conversation_id), ...fact("Object key", failure.object_key), ...fact("Bucket", failure.bucket),
      ...fact("Caller", failure.principal), ...fact("Tenant", failure.tenant_id), ...fact("Region", failure.region),
      ...fact("Media", failure.media_type), ...fact("Step", failure.step),
      ...fact("Attempts that failed", `${failure.attempts}, from ${failure.first_failed_at || "unknown"} to ${failure.last_failed_at || "unknown"}`),
      ...fact("Symptoms", `${timeouts} timeouts, ${forbidden} refused (403), ${conflicts} conflicts (409, 412), ${other} other`),
      ...fact("Got through", failure.recovered_at || "not in this evidence"),
      ...fact("Missing permissions", failure.missing_permissions.join(", "))));
    element.append(make("h4", {}, "What speaks for and against each cause"), hypotheses(failure));
    const general = failure.evidence.filter((evidence) => evidence.class === null);
    if (general.length) element.append(make("h4", {}, "How far the evidence is to be relied on"), list(general.map(statement)));
    if (failure.remedy.length) element.append(make("h4", {}, "Remedy"), list(failure.remedy));
    if (failure.next_evidence.length) element.append(make("h4", {}, "Evidence to collect next"), list(failure.next_evidence, "ol"));
    if (marks.length) element.append(make("h4", {}, "Timeline"), lanes(marks), timeline(marks, more, records));
    element.append(make("h4", {}, "Cited records"), ...cited(failure, marks, records));
    return element;
  };
  const statement = (evidence) => make("span", {}, evidence.statement + " ", ...evidence.records.flatMap((id) => [cite(id), " "]),
    make("a", { class: "rule", href: "#rule-" + evidence.rule }, "rule " + evidence.rule));
  // Leads to the record, which the same card holds.
  const cite = (id) => {
    const button = make("button", { type: "button", class: "cite" }, make("code", {}, id));
    button.addEventListener("click", () => {
      const record = [...button.closest("article").querySelectorAll("details.record")].find((one) => one.dataset.id === id);
      if (!record) return;
      record.open = true;
      record.firstChild.focus();
      record.scrollIntoView({ block: "nearest" });
    });
    return button;
  };
  const hypotheses = (failure) => {
    const leading = failure.class;
    const one = (hypothesis) => {
      const of = failure.evidence.filter((evidence) => evidence.class === hypothesis.class);
      const side = (name, some) => (some.length ? [make("p", {}, make("b", {}, name)), list(some.map(weighed))] : []);
      const weighed = (evidence) => make("span", {}, `${evidence.weight > 0 ? "+" : ""}${evidence.weight} `, statement(evidence));
      return make("div", { class: "hypothesis" + (hypothesis.class === leading ? " leads" : "") },
        make("p", {}, make("span", { class: "class c-" + hypothesis.class }, titles.get(hypothesis.class)),
          ` weight ${hypothesis.weight}${hypothesis.class === leading ? ", leads" : ""}`),
        ...side("For", of.filter((evidence) => evidence.weight > 0)),
        ...side("Against", of.filter((evidence) => evidence.weight <= 0)),
        of.length ? null : make("p", { class: "about" }, "Nothing in the evidence speaks for or against it."));
    };
    return make("div", { class: "columns" }, ...failure.hypotheses.map(one));
  };
  const MARKS = { failing: "failed", witness: "also seen failing", success: "succeeded", attempt: "attempt",
    hold: "legal hold", policy: "policy change", rotation: "new credential", grant: "grant or revocation" };
  // A letter for each kind of change, so that nothing is told by colour alone.
  const LETTERS = { hold: "H", policy: "P", rotation: "C", grant: "G" };
  const GLYPHS = { failing: (x, y) => draw("path", { d: `M${x - 5} ${y - 5}L${x + 5} ${y + 5}M${x + 5} ${y - 5}L${x - 5} ${y + 5}` }),
    witness: (x, y) => draw("rect", { x: x - 5, y: y - 5, width: 10, height: 10 }),
    success: (x, y) => draw("circle", { cx: x, cy: y, r: 6 }), attempt: (x, y) => draw("circle", { cx: x, cy: y, r: 3 }) };
  const glyph = (kind, x, y) => {
    if (GLYPHS[kind]) return [GLYPHS[kind](x, y)];
    return [draw("path", { d: `M${x} ${y - 9}L${x + 9} ${y}L${x} ${y + 9}L${x - 9} ${y}Z` }),
      draw("text", { x, y: y + 4, "text-anchor": "middle", class: "letter" }, LETTERS[kind])];
  };
  const apart = (seconds) => seconds < 1 ? `${Math.round(seconds * 1000)} ms` : seconds < 120 ? `${+seconds.toFixed(1)} s`
    : seconds < 3600 ? `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s` : seconds < 7200 ? `${Math.round(seconds / 60)} min` : seconds < 172800 ? `${(seconds / 3600).toFixed(1)} h` : `${Math.round(seconds / 86400)} days`;
  const lanes = (marks) => {
    const timed = marks.filter((mark) => mark.time).map((mark) => ({ ...mark, at: Date.parse(mark.time) }));
    const sources = [...new Set(timed.map((mark) => mark.source))];
    const left = 130, right = 870, tall = 34, top = 26, bottom = top + sources.length * tall;
    // Long waits are drawn shorter than they were: the more so, the longer.
    const moments = [...new Set(timed.map((mark) => mark.at))].sort((a, b) => a - b);
    const places = [0];
    for (let n = 1; n < moments.length; n += 1) places.push(places[n - 1] + 1 + Math.log10(1 + (moments[n] - moments[n - 1]) / 1000));
    const scale = places.length > 1 ? (right - left - 20) / places[places.length - 1] : 0;
    const x = new Map(moments.map((at, n) => [at, left + 10 + (places.length > 1 ? places[n] * scale : (right - left) / 2)]));
    const svg = draw("svg", { class: "lanes", viewBox: `0 0 ${right + 20} ${bottom + 22}`, role: "img",
      "aria-label": "Timeline with one lane for each source; the table below says the same" });
    for (const start of timed.filter((mark) => mark.kind === "hold" && mark.what.startsWith("hold placed"))) {
      const end = timed.find((mark) => mark.kind === "hold" && mark.at > start.at && !mark.what.startsWith("hold placed"));
      const to = end ? x.get(end.at) : right;
      svg.append(draw("rect", { class: "syncing", x: x.get(start.at), y: top - 4, width: Math.max(2, to - x.get(start.at)), height: bottom - top + 4 }),
        draw("text", { x: x.get(start.at) + 3, y: 14 }, "hold synchronising"));
    }
    sources.forEach((source, lane) => {
      const y = top + lane * tall + tall / 2;
      svg.append(draw("line", { x1: left, x2: right, y1: y, y2: y }), draw("text", { x: 6, y: y + 4 }, source.replaceAll("_", " ")));
    });
    // Marks of one moment in one lane stand beside each other.
    const taken = new Map();
    for (const mark of timed) {
      const spot = mark.source + "\n" + mark.at, beside = taken.get(spot) || 0;
      taken.set(spot, beside + 1);
      const group = draw("g", { class: mark.kind });
      group.append(draw("title", {}, `${mark.time} ${mark.source}: ${mark.what}, ${MARKS[mark.kind]}${mark.status ? " " + mark.status : ""}`),
        ...glyph(mark.kind, x.get(mark.at) + Math.min(beside, 6) * 7, top + sources.indexOf(mark.source) * tall + tall / 2));
      svg.append(group);
    }
    let free = left;
    moments.forEach((at, n) => {
      const text = n === 0 ? new Date(at).toISOString().slice(0, 19) + "Z" : "+" + apart((at - moments[0]) / 1000);
      const wide = text.length * 6.6, middle = Math.min(x.get(at), right + 20 - wide / 2);
      if (middle - wide / 2 < free - (n === 0 ? wide : 0)) return;
      free = middle + wide / 2 + 8;
      svg.append(draw("text", { x: middle, y: bottom + 14, "text-anchor": "middle" }, text));
    });
    const kinds = Object.keys(MARKS).filter((kind) => timed.some((mark) => mark.kind === kind));
    const key = kinds.map((kind) => {
      const swatch = draw("svg", { class: "lanes key", viewBox: "0 0 20 20", width: 20, height: 20, "aria-hidden": "true" });
      const group = draw("g", { class: kind });
      group.append(...glyph(kind, 10, 10));
      swatch.append(group);
      return make("li", {}, swatch, " " + MARKS[kind]);
    });
    return make("div", {}, make("ul", { class: "legend" }, ...key), svg,
      make("p", { class: "about" }, "In order of time; long waits are drawn shorter than they were."));
  };
  const timeline = (marks, more, records) => {
    const row = (mark) => make("tr", {}, make("td", {}, mark.time || "unknown"), make("td", {}, mark.source),
      make("td", {}, MARKS[mark.kind] + (mark.attempt === null ? "" : `, attempt ${mark.attempt}`)), make("td", {}, mark.what),
      make("td", {}, [mark.status, mark.code, mark.message].filter((part) => part).join(" ")), make("td", {}, records.has(mark.record) ? cite(mark.record) : make("code", {}, mark.record || "")));
    const names = ["Time (UTC)", "Source", "Mark", "What", "Answer", "Record"];
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...marks.map(row)));
    return make("div", {}, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Timeline as a table" }, table),
      more ? make("p", {}, `And ${more} more; holdtrace timeline shows all.`) : null);
  };
  const cited = (failure, marks, records) => {
    const ids = [...new Set([...failure.evidence.flatMap((evidence) => evidence.records), ...marks.map((mark) => mark.record)])].filter((id) => records.has(id));
    if (!ids.length) return [make("p", {}, "None.")];
    return ids.map((id) => {
      const record = records.get(id);
      const notes = [record.whole ? "" : "only its beginning is shown; ", record.blanked ? "what looks like a secret is blanked; " : ""].join("");
      return make("details", { class: "record", "data-id": id },
        make("summary", {}, make("code", {}, id), ` ${record.file}, record ${record.record}`),
        make("p", { class: "about" }, `offset ${record.offset}, ${record.length} bytes, SHA-256 `, make("code", {}, record.sha256)),
        record.text === null
          ? make("p", { class: "about" }, `Its text is not in this file; holdtrace show ${id} PATH prints it.`)
          : make("div", {}, notes ? make("p", { class: "about" }, notes + `holdtrace show ${id} PATH prints it as it is.`) : null,
              make("pre", { tabindex: "0" }, record.text)));
    });
  };

  // Start.
  heads.forEach((head, column) => {
    const button = make("button", { type: "button" }, head.textContent);
    button.addEventListener("click", () => {
      state.down = state.column === column && !state.down;
      state.column = column;
      sort();
    });
    head.replaceChildren(button);
  });
  const form = byId("filters");
  form.hidden = false;
  byId("pages").hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  byId("before").addEventListener("click", () => { state.page -= 1; show(); });
  byId("after").addEventListener("click", () => { state.page += 1; show(); });
  sort();
})();
