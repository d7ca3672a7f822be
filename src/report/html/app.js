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

  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const draw = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
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
  const line = (row) => {
    const open = make("button", { type: "button", class: "open", "aria-expanded": "false" }, row.cells[0] || "time unknown");
    const element = make("tr", {}, make("th", { scope: "row" }, open),
      make("td", {}, make("span", { class: "class c-" + row.cells[1] }, titles.get(row.cells[1]))),
      ...row.cells.slice(2).map((cell, n) => make("td", {}, n === 0 ? cell.replaceAll("_", " ") : cell)));
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
    element.after(make("tr", {}, cell));
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
    return JSON.parse(await new Response(stream).text());
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
    if (marks.length) element.append(make("h4", {}, "Timeline"), lanes(marks), timeline(marks, more));
    element.append(make("h4", {}, "Cited records"), ...cited(failure, marks, records));
    return element;
  };
  const statement = (evidence) => make("span", {}, evidence.statement + " ", make("span", { class: "about" }, evidence.records.join(" ")));
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
  const MARKS = { failing: "failed", witness: "also seen failing", success: "succeeded", attempt: "attempt", change: "change" };
  const lanes = (marks) => {
    const timed = marks.filter((mark) => mark.time).map((mark) => ({ ...mark, at: Date.parse(mark.time) }));
    const sources = [...new Set(marks.map((mark) => mark.source))];
    const left = 130, width = 900, tall = 30, height = sources.length * tall + 46;
    const first = Math.min(...timed.map((mark) => mark.at)), last = Math.max(...timed.map((mark) => mark.at));
    const x = (at) => left + (last > first ? (at - first) / (last - first) : 0.5) * (width - left - 20);
    const svg = draw("svg", { class: "lanes", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Timeline, one lane per source; the list below says the same" });
    sources.forEach((source, lane) => {
      const y = lane * tall + 20;
      svg.append(draw("line", { x1: left, x2: width - 10, y1: y, y2: y }), draw("text", { x: 6, y: y + 4 }, source));
    });
    for (const mark of timed) {
      const [cx, cy] = [x(mark.at), sources.indexOf(mark.source) * tall + 20];
      const shape = mark.kind === "change" ? draw("path", { d: `M${cx} ${cy - 7}L${cx + 7} ${cy}L${cx} ${cy + 7}L${cx - 7} ${cy}Z` })
        : mark.kind === "failing" ? draw("rect", { x: cx - 5, y: cy - 5, width: 10, height: 10 })
        : draw("circle", { cx, cy, r: mark.kind === "attempt" ? 4 : 6 });
      shape.setAttribute("class", mark.kind);
      shape.append(draw("title", {}, `${mark.time} ${mark.source}: ${mark.what}, ${MARKS[mark.kind]}${mark.status ? " " + mark.status : ""}`));
      svg.append(shape);
    }
    if (timed.length) {
      svg.append(draw("text", { x: left, y: height - 24 }, new Date(first).toISOString()),
        draw("text", { x: width - 10, y: height - 24, "text-anchor": "end" }, new Date(last).toISOString()));
    }
    svg.append(draw("text", { x: 6, y: height - 6 }, "■ failed   ○ also seen failing   ● succeeded   · attempt   ◆ change"));
    return svg;
  };
  const timeline = (marks, more) => {
    const row = (mark) => make("tr", {}, make("td", {}, mark.time || "unknown"), make("td", {}, mark.source),
      make("td", {}, MARKS[mark.kind] || mark.kind), make("td", {}, mark.what),
      make("td", {}, [mark.status, mark.code, mark.message].filter((part) => part).join(" ")), make("td", {}, make("code", {}, mark.record || "")));
    const names = ["Time (UTC)", "Source", "Mark", "What", "Answer", "Record"];
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...marks.map(row)));
    return make("div", {}, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Timeline as a table" }, table),
      more ? make("p", {}, `And ${more} more; holdtrace timeline shows all.`) : null);
  };
  const cited = (failure, marks, records) => {
    const ids = [...new Set([...failure.evidence.flatMap((evidence) => evidence.records), ...marks.map((mark) => mark.record).filter((id) => id)])];
    if (!ids.length) return [make("p", {}, "None.")];
    return ids.map((id) => {
      const record = records[id];
      if (!record) return make("p", {}, make("code", {}, id));
      const notes = [record.whole ? "" : "only its beginning is shown; ", record.blanked ? "what looks like a secret is blanked; " : ""].join("");
      return make("details", { class: "record" },
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
