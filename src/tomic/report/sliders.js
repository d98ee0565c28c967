"use strict";
// Steps through what the page itself holds: nothing is computed that Python has not, none is fetched.
const whole = JSON.parse(document.getElementById("document").textContent);
const share = (value) => (value > 0 ? "+" : "") + Math.round(1000 * value) / 10 + " %";
const written = (value) =>
  value
    .toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })
    .replace(/^-(?=[0.,]*$)/, "")
    .replace("-", "\u2212");
const put = (place, value) => {
  place.textContent = written(value);
  if (value <= -0.005) place.dataset.sign = "loss";
  else delete place.dataset.sign;
};
for (const box of document.querySelectorAll(".what-if")) {
  const item = box.dataset.item.split("/").slice(1).reduce((part, key) => part[key], whole);
  const [move, vol, day] = box.querySelectorAll("input");
  const rows = [...box.querySelectorAll("tbody tr")];
  const figure = box.querySelector("output");
  const words = box.querySelector(".asked");
  const show = () => {
    const [m, v, d] = [move, vol, day].map((input) => Number(input.value));
    rows.forEach((row, i) => {
      row.classList.toggle("at", i === m);
      item.cells[v][i].forEach((value, j) => {
        const place = row.children[j + 2];
        put(place, value);
        place.classList.toggle("at", j === d);
      });
    });
    words.textContent =
      `price ${share(item.moves[m])}, volatility ${share(item.vols[v])}, ${item.horizons[d]}: `;
    put(figure, item.cells[v][m][d]);
  };
  for (const input of [move, vol, day]) input.addEventListener("input", show);
  box.querySelector(".sliders").hidden = false;
  show();
}
