const payload = JSON.parse(document.getElementById("payload").textContent);
const make = (tag, words, kind) => {
  const element = document.createElement(tag);
  if (words !== undefined) element.textContent = words;
  if (kind) element.className = kind;
  return element;
};
const count = n => n.toLocaleString("en-US");
const percent = share => (100 * share).toPrecision(3).replace(/\.?0+$/, "") + " %";

// the slider: counts for each of its places were made with the page
{
  const { low, span, rows, flagged, hits, outliers, start } = payload.slider;
  const slider = document.getElementById("threshold"), told = document.getElementById("told");
  const strokes = document.querySelector("svg.figure"), last = flagged.length - 1;
  const stroke = strokes.querySelector("line.threshold");
  const words = strokes.querySelector("text.threshold");
  const tell = moved => {
    const i = Number(slider.value), at = low + span * i / last;
    const n = flagged[i];
    let sentence = `above ${at.toPrecision(4)}: ${count(n)} of ${count(rows)} rows, ${percent(n / rows)}`;
    if (hits) sentence += `; precision ${n ? percent(hits[i] / n) : "–"}, recall ${outliers ? percent(hits[i] / outliers) : "–"}`;
    told.textContent = sentence;
    if (!moved) return;
    stroke.parentNode.removeAttribute("hidden");
    const x = 44 + 940 * i / last;
    stroke.setAttribute("x1", x); stroke.setAttribute("x2", x);
    words.textContent = `threshold ${at.toPrecision(4)}`;
    words.setAttribute("x", x > 700 ? x - 7 : x + 7);
    words.setAttribute("text-anchor", x > 700 ? "end" : "start");
  };
  slider.value = start === null ? last : Math.round(last * Math.min(1, Math.max(0, (start - low) / span)));
  slider.addEventListener("input", () => tell(true));
  tell(false);
}

// a row of the table, chosen: its reasons in full, and its place in every figure
const table = document.getElementById("rows"), detail = document.getElementById("detail");
const figures = [...document.querySelectorAll("svg[data-feature]")];
const choose = line => {
  const row = payload.rows[line.dataset.row];
  for (const other of table.querySelectorAll("tr.chosen")) other.classList.remove("chosen");
  line.classList.add("chosen");
  for (const figure of figures) {
    const value = row.marks[figure.dataset.feature], mark = figure.querySelector(".mark");
    if (mark) {
      mark.toggleAttribute("hidden", value === null);
      const share = (value - figure.dataset.low) / figure.dataset.span;
      mark.setAttribute("transform", `translate(${300 * Math.min(1, Math.max(0, share))} 0)`);
    }
    for (const bar of figure.querySelectorAll(".bar")) bar.classList.toggle("chosen", Number(bar.dataset.code) === value);
  }
  if (!detail || !row.reasons.length) return;
  detail.hidden = false;
  detail.replaceChildren(make("h3", `${row.name}, score ${row.score}`));
  const scroll = make("div", undefined, "scroll"), list = make("table"), head = list.createTHead().insertRow();
  const full = row.reasons.some(reason => "value" in reason);
  for (const name of full ? ["because of", "value", "which is", "expected", "usually", "share"] : ["because of", "share"])
    head.append(make("th", name));
  const body = list.createTBody();
  for (const reason of row.reasons) {
    const line = body.insertRow();
    const cells = full ? [reason.feature, reason.value, reason.direction, reason.expected, reason.usual] : [reason.feature];
    for (const cell of cells) line.append(make("td", cell ?? ""));
    const meter = make("span", undefined, "meter"), fill = make("i"), share = make("td");
    fill.style.width = `${100 * reason.share}%`;
    meter.append(fill); share.append(meter, percent(reason.share)); line.append(share);
  }
  scroll.append(list); detail.append(scroll);
};
table.tBodies[0].addEventListener("click", event => { const line = event.target.closest("tr"); if (line) choose(line); });
table.tBodies[0].addEventListener("keydown", event => {
  if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(event.target.closest("tr")); }
});
if (table.tBodies[0].rows.length) choose(table.tBodies[0].rows[0]);
