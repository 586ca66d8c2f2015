// Sorts and filters the table of models, and copies commands. Pages are complete without it.
"use strict";

function sortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = head.dataset.first || "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      body.append(...sorted([...body.rows], column, head.dataset.sort === "number", order));
    });
  });
}

function sorted(rows, column, numbers, order) {
  const turn = order === "ascending" ? 1 : -1;
  const value = (row) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
  };
  return rows.sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === "" || b === "") return (a === "") - (b === ""); // what is not known comes last
    return turn * (numbers ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  });
}

function filterable(table, form) {
  const rows = [...table.tBodies[0].rows];
  const shown = document.getElementById("shown");
  const none = document.getElementById("none");
  const apply = () => {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const [size, map] = [form.elements.size, form.elements.map].map((field) => field.valueAsNumber);
    let count = 0;
    for (const row of rows) {
      const fits =
        words.every((word) => row.dataset.text.includes(word)) &&
        ["task", "quantization", "license"].every(
          (name) => !form.elements[name].value || form.elements[name].value === row.dataset[name],
        ) &&
        !(row.dataset.size > size) && // NaN, an empty field, is neither more nor less
        !(row.dataset.map < map);
      row.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count} of ${rows.length} models`;
    none.hidden = count > 0;
  };
  form.hidden = shown.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());
  apply(); // a browser that goes back keeps what was typed
}

function copyable(block) {
  const text = block.querySelector("code");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  const said = document.createElement("span");
  said.className = "soft";
  said.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = said.textContent = "Copied";
    } catch {
      // Without a secure context there is no clipboard: the text is selected, to be copied by hand.
      getSelection().selectAllChildren(text);
      button.textContent = said.textContent = "Selected";
    }
    setTimeout(() => {
      button.textContent = "Copy";
      said.textContent = "";
    }, 2000);
  });
  said.classList.add("unseen");
  block.append(button, said);
}

function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

const table = document.getElementById("models");
const form = document.getElementById("filter");
if (table && form) {
  sortable(table);
  filterable(table, form);
}
document.querySelectorAll(".copy").forEach(copyable);
addEventListener("hashchange", reveal);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => (each.open = true)));
reveal();
