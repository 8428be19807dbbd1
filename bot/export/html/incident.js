"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const form = find("filters"), count = find("count"), text = find("f-text"), person = find("f-person"), zone = find("f-zone");
  const days = [...document.querySelectorAll(".day")].map((at) => ({
    at,
    portions: [...at.querySelectorAll(".portion")].map((list) => ({
      at: list,
      rows: [...list.children].map((row) => ({ at: row, words: null })),
    })),
  }));
  const portions = days.flatMap((day) => day.portions);
  const total = portions.reduce((sum, portion) => sum + portion.rows.length, 0);

  // Work in slices, so that the page answers meanwhile; a new start ends the one before it.
  const worker = () => {
    let turn = 0;
    return (items, work, done) => {
      const mine = ++turn;
      let next = 0;
      const slice = () => {
        if (mine !== turn) return;
        const end = performance.now() + 15;
        while (next < items.length && performance.now() < end) work(items[next++]);
        if (next < items.length) setTimeout(slice);
        else done();
      };
      slice();
    };
  };
  const filtering = worker(), clocking = worker();

  const wanted = () => {
    const chosen = new FormData(form);
    return {
      key: chosen.has("key"),
      groups: new Set(chosen.getAll("g")),
      person: person.value,
      words: text.value.toLowerCase().split(/\s+/).filter(Boolean),
    };
  };
  const fits = (row, want) => {
    const { g, p } = row.at.dataset;
    if (want.groups.size && !want.groups.has(g)) return false;
    if (want.person && want.person !== p) return false;
    if (want.key && !row.at.classList.contains("key")) return false;
    if (!want.words.length) return true;
    row.words ??= row.at.textContent.toLowerCase();
    return want.words.every((word) => row.words.includes(word));
  };
  const say = (shown) => {
    if (shown === total) count.textContent = `Shows all ${total} entries.`;
    else count.textContent = shown ? `Shows ${shown} of ${total} entries.` : `None of ${total} entries fits.`;
  };
  const filter = () => {
    const want = wanted();
    let shown = 0;
    filtering(portions, (portion) => {
      portion.fit = portion.rows.map((row) => fits(row, want));
    }, () => {
      // All at once: rows that move up half-way would be laid out for nothing.
      for (const { at, rows, fit } of portions) {
        rows.forEach((row, place) => { if (row.at.hidden === fit[place]) row.at.hidden = !fit[place]; });
        const here = fit.filter(Boolean).length;
        at.hidden = here === 0;
        shown += here;
      }
      for (const day of days) day.at.hidden = day.portions.every((portion) => portion.at.hidden);
      say(shown);
    });
  };

  // The second clock: as written, or the reader's own.
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const clock = new Intl.DateTimeFormat("en-GB", {
    timeZone: own, year: "numeric", month: "short", day: "numeric",
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short",
  });
  const written = new Map();
  const local = (iso) => {
    const part = Object.fromEntries(clock.formatToParts(new Date(iso)).map(({ type, value }) => [type, value]));
    const day = Number(part.day) === Number(iso.slice(8, 10)) ? "" : `${part.day} ${part.month} `;
    return `${day}${part.hour}:${part.minute}:${part.second} ${part.timeZoneName}`;
  };
  const setClock = () => {
    const mine = zone.value === "own";
    clocking([...document.querySelectorAll(".when")], (when) => {
      const there = when.querySelector(".lt"), time = when.querySelector("time");
      if (!written.has(there)) written.set(there, there.textContent);
      there.textContent = mine ? local(time.dateTime) : written.get(there);
    }, () => { for (const portion of portions) for (const row of portion.rows) row.words = null; });
  };

  // What is linked to must be seen.
  const reveal = () => {
    const target = location.hash.startsWith("#e-") && find(location.hash.slice(1));
    if (!target || !target.hidden) return;
    form.reset();
    target.scrollIntoView();
  };

  const folded = [];
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details:not([open])")) { one.open = true; folded.push(one); }
  });
  addEventListener("afterprint", () => { for (const one of folded.splice(0)) one.open = false; });

  for (const box of form.querySelectorAll("[name=g]"))
    if (!document.querySelector(`.e[data-g=${box.value}]`)) box.parentNode.hidden = true;
  if (!document.querySelector(".e.key")) form.elements.key.parentNode.hidden = true;
  zone.add(new Option(`mine: ${own}`, "own"));
  let typing;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", ({ target }) => {
    clearTimeout(typing);
    if (target === zone) setClock();
    else typing = setTimeout(filter, target === text ? 150 : 0);
  });
  form.addEventListener("reset", () => setTimeout(() => { setClock(); filter(); }));
  addEventListener("hashchange", reveal);
  form.hidden = false;
})();
