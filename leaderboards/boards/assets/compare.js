// Two entries of a board, workload by workload. Which two is in the address, to be passed on.
"use strict";
(() => {
  const { what, digits, entries, pairs } = JSON.parse(document.getElementById("compared").textContent);
  const form = document.querySelector("form.compare");
  const section = document.querySelector(".compared");
  const table = section.querySelector("table");
  const shown = (value) => value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1");
  const place = (select) => entries.findIndex((entry) => entry.folder === select.value);

  function svg(name, attributes, content = []) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...content);
    return made;
  }

  // Mean difference and the ends of its interval; a pair is kept in one direction.
  function difference(a, b) {
    if (a === b) return [0, 0, 0];
    if (a < b) return pairs[`${a},${b}`];
    const [value, low, high] = pairs[`${b},${a}`];
    return [-value, -high, -low];
  }

  function ticks(low, high) {
    const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((one) => one >= rough);
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(Number((k * step).toPrecision(6)));
    return found;
  }

  function draw(differences, title) {
    const [left, right, top, bottom] = [58, 886, 12, 264];
    const low = Math.min(0, ...differences), high = Math.max(0, ...differences);
    const margin = 0.05 * (high - low) || 1;
    const y = (value) => bottom - (value - low + margin) / (high - low + 2 * margin) * (bottom - top);
    const wide = (right - left) / differences.length;
    const parts = [svg("title", {}, [title])];
    for (const tick of ticks(low - margin, high + margin)) {
      parts.push(svg("line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) }));
      parts.push(svg("text", { class: "tick", x: left - 7, y: y(tick) + 4, "text-anchor": "end" }, [tick]));
    }
    differences.forEach((value, k) => parts.push(svg("rect", {
      class: value < 0 ? "bar two" : "bar one", x: left + (k + 0.15) * wide, width: 0.7 * wide,
      y: Math.min(y(0), y(value)), height: Math.abs(y(value) - y(0)),
    })));
    parts.push(svg("line", { class: "zero", x1: left, x2: right, y1: y(0), y2: y(0) }));
    parts.push(svg("text", { class: "axis-name", x: (left + right) / 2, y: 288, "text-anchor": "middle" },
      [`test workloads, by ${what} of the first less the second's`]));
    return svg("svg", { class: "figure", viewBox: "0 0 900 300", role: "img" }, parts);
  }

  function verdict(a, b, differences) {
    const [value, low, high] = difference(a, b);
    const [one, two] = [entries[a].name, entries[b].name];
    if (a === b) return "Choose two entries.";
    const wins = differences.filter((d) => d > 0).length, equal = differences.filter((d) => d === 0).length;
    const found = low > 0 ? `${one} is better` : high < 0 ? `${two} is better` : "they cannot be told apart";
    return `${one} less ${two}: ${shown(value)} (95 % interval ${shown(low)} to ${shown(high)}): ${found}. `
      + `${one} is ahead on ${wins} of ${differences.length} workloads${equal ? `, equal on ${equal}` : ""}.`;
  }

  function show() {
    const a = place(form.elements.a), b = place(form.elements.b);
    const differences = entries[a].values.map((value, k) => value - entries[b].values[k]);
    const text = verdict(a, b, differences);
    section.querySelector(".verdict").textContent = text;
    section.querySelector(".figures").replaceChildren(draw(differences.toSorted((x, y) => x - y), text));
    table.tBodies[0].replaceChildren(...differences.map((value, k) => {
      const row = document.createElement("tr");
      for (const [number, cell] of [[k, k], ...[entries[a].values[k], entries[b].values[k], value].map((v) => [v, shown(v)])]) {
        const made = row.insertCell();
        made.className = "number";
        made.dataset.value = number;
        made.textContent = cell;
      }
      return row;
    }));
    for (const cell of table.tHead.rows[0].cells) cell.setAttribute("aria-sort", cell.cellIndex ? "none" : "ascending");
    const state = new URLSearchParams({ a: form.elements.a.value, b: form.elements.b.value });
    try { history.replaceState(null, "", `#${state}`); } catch { /* some browsers refuse for files */ }
  }

  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    const known = (name) => entries.find((entry) => entry.folder === state.get(name));
    const a = known("a") ?? entries[0];
    form.elements.a.value = a.folder;
    form.elements.b.value = (known("b") ?? entries.find((entry) => entry !== a)).folder; // the best other
    show();
  }

  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.querySelector(".swap").addEventListener("click", () => {
    [form.elements.a.value, form.elements.b.value] = [form.elements.b.value, form.elements.a.value];
    show();
  });
  addEventListener("hashchange", recall);
  form.hidden = section.hidden = false;
  recall();
})();
