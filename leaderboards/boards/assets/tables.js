// Tables that sort by a click on a heading, and the filter of a board. Without it they are plain
// tables, in order of rank. The state of a board is in the address, so that it can be passed on.
"use strict";

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const label = heading.querySelector(".sort");
    if (!label) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = label.textContent;
    label.replaceWith(button);
    button.addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort");
      const other = now === "ascending" ? "descending" : "ascending";
      sortBy(table, column, now === "none" ? heading.dataset.first : other);
    });
  });
}

function sortBy(table, column, direction) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((cell, k) => {
    if (cell.hasAttribute("aria-sort")) cell.setAttribute("aria-sort", k === column ? direction : "none");
  });
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => [row.cells[column].dataset.value, row]);
  const numbers = rows.every(([value]) => value === "" || !Number.isNaN(Number(value)));
  rows.sort(([a], [b]) => {
    if (a === "" || b === "") return (a === "") - (b === ""); // without a value: last, either way
    return sign * (numbers ? a - b : a.localeCompare(b, "en", { numeric: true }));
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function makeFilter(form) {
  const table = document.getElementById(form.dataset.for);
  const rows = [...table.tBodies[0].rows];
  const count = form.querySelector(".count");
  const show = () => {
    const words = form.elements.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kinds = [...form.querySelectorAll("[name=kind]:checked")].map((box) => box.value);
    let shown = 0;
    for (const row of rows) {
      const { text, kind, level } = row.dataset;
      const match = words.every((word) => text.includes(word)) && kinds.includes(kind)
        && Number(level) >= Number(form.elements.level.value);
      row.hidden = !match;
      shown += match;
    }
    count.textContent = shown ? `${shown} of ${rows.length} shown` : "Nothing matches. “Show all” brings everything back.";
    keep(form);
  };
  recall(form);
  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show));
  show();
}

function keep(form) {
  const state = new URLSearchParams();
  if (form.elements.q.value) state.set("q", form.elements.q.value);
  if (form.elements.level.value !== "0") state.set("level", form.elements.level.value);
  for (const box of form.querySelectorAll("[name=kind]:not(:checked)")) state.append("without", box.value);
  const hash = state.size ? `#${state}` : "";
  if (hash !== location.hash) {
    try { history.replaceState(null, "", hash || location.pathname + location.search); } catch { /* some browsers refuse for files */ }
  }
}

function recall(form) {
  const state = new URLSearchParams(location.hash.slice(1));
  form.elements.q.value = state.get("q") ?? "";
  if (/^[0-3]$/.test(state.get("level") ?? "")) form.elements.level.value = state.get("level");
  for (const box of form.querySelectorAll("[name=kind]")) box.checked = !state.getAll("without").includes(box.value);
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll("form.filter").forEach(makeFilter);
