// Finds pages by words: every word must occur in the title or the text of an entry; titles count more.
"use strict";
const box = document.getElementById("search"), list = document.getElementById("found");
const root = document.body.dataset.root, MOST = 25;
const lower = INDEX.map(([title, , , text]) => [title.toLowerCase(), text.toLowerCase()]);

function score([title, text], words) {
  let sum = 0;
  for (const word of words) {
    if (title === word) sum += 100;
    else if (title.split(/[^\p{L}\p{N}_]+/u).includes(word)) sum += 30;
    else if (title.includes(word)) sum += 10;
    else if (text.includes(word)) sum += 1;
    else return 0;
  }
  return sum;
}

function search() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length ? lower.map((entry, i) => [score(entry, words), i]).filter(([points]) => points) : [];
  found.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  list.replaceChildren(...found.slice(0, MOST).map(([, i]) => {
    const [title, where, place] = INDEX[i], link = document.createElement("a"), note = document.createElement("small");
    link.href = root + place;
    note.textContent = where;
    link.append(title, note);
    return link;
  }));
  if (words.length && !found.length) list.textContent = "Nothing found.";
  else if (found.length > MOST) list.append(`and ${found.length - MOST} more`);
}

box.addEventListener("input", search);
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== box) { event.preventDefault(); box.focus(); }
  if (event.key === "Escape") { box.value = ""; search(); }
});
