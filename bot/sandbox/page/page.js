"use strict";
// Shows what the server sends, and sends what is pressed and typed. Nothing that is typed is lost when something changes.
const page = document.querySelector(".page");
const { as, in: place, channel, thread } = page.dataset;
const find = (id) => document.getElementById(id);
const FOCUSABLE = "button, a, summary, select, input, textarea";

async function send(what) {
  const response = await fetch("/do", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ as, ...what }),
  });
  const answer = response.headers.get("Content-Type").startsWith("application/json") ? await response.json() : {};
  if (!response.ok && !answer.says) answer.says = "That did not work.";
  if (answer.says) say(answer.says);
  return answer;
}

let hush;
function say(words) {
  find("toast").textContent = words;
  clearTimeout(hush);
  hush = setTimeout(() => (find("toast").textContent = ""), 8000);
}

// What a reader has done to an item goes over to its new version: what is open, typed and focused.
function keep(old, made) {
  const opened = [...old.querySelectorAll("details")];
  made.querySelectorAll("details").forEach((details, n) => (details.open = opened[n]?.open ?? details.open));
  for (const input of made.querySelectorAll("[name]")) {
    const before = [...old.querySelectorAll("[name]")].find((one) => one.name === input.name);
    if (before && before.value !== before.defaultValue) input.value = before.value;
  }
  const stops = [...old.querySelectorAll(FOCUSABLE)];
  return stops.indexOf(document.activeElement);
}

function draw(region, items) {
  const scroll = region.closest(".scroll");
  const starts = region.id === "thread" && !region.firstElementChild; // a thread is read from its beginning
  const atEnd = !starts && scroll && scroll.scrollTop + scroll.clientHeight > scroll.scrollHeight - 60;
  const there = new Map([...region.children].map((child) => [child.dataset.key, child]));
  let next = region.firstElementChild;
  for (const [key, html] of items) {
    let node = there.get(key);
    there.delete(key);
    if (!node || node.html !== html) {
      const made = document.createElement("div");
      made.dataset.key = key;
      made.innerHTML = made.html = html;
      if (node) {
        const focused = keep(node, made);
        if (next === node) next = made;
        node.replaceWith(made);
        made.querySelectorAll(FOCUSABLE)[focused]?.focus({ preventScroll: true });
      }
      node = made;
    }
    if (node === next) next = next.nextElementSibling;
    else region.insertBefore(node, next);
  }
  there.forEach((node) => node.remove());
  if (atEnd) scroll.scrollTop = scroll.scrollHeight;
}

function show(regions) {
  for (const [id, items] of Object.entries(regions)) if (find(id)) draw(find(id), items);
  if ("dialogs" in regions) {
    const dialog = find("dialog");
    if (regions.dialogs.length && !dialog.open) {
      dialog.showModal();
      dialog.querySelector("input, textarea, select, .foot .button:last-child").focus();
    }
    if (!regions.dialogs.length) dialog.close();
  }
  if (!page.hasAttribute("data-live")) arrive();
  page.setAttribute("data-live", "");
}

function confirmed(html) {
  const dialog = find("confirm");
  dialog.querySelector("form").innerHTML = html;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}

const about = (element) => ({
  message: element.closest("[data-message]")?.dataset.message,
  view: element.closest("[data-view]")?.dataset.view,
});

// Slack's own addresses of messages and files lead to where those are here; all others leave the page.
function visit(url) {
  const message = url.match(/^https:\/\/sandbox\.slack\.com\/archives\/(\w+)\/p(\d+)(\d{6})(?:\?thread_ts=([\d.]+))?/);
  const file = url.match(/^https:\/\/sandbox\.slack\.com\/files\/\w+\/(\w+\/[^/?]+)$/);
  if (!message) return open(file ? `/files/${file[1]}` : url, "_blank", "noopener");
  const [, where, seconds, micros, root] = message;
  const at = new URLSearchParams({ as, in: where.startsWith("D") ? "direct" : where, ...(root && { thread: root }) });
  location.assign(`/?${at}#${seconds}.${micros}`);
  return null;
}

// Brings the message that the address names into sight, once it is drawn.
function arrive() {
  const named = location.hash && [...document.querySelectorAll(`[data-message$=" ${location.hash.slice(1)}"]`)].at(-1);
  if (!named || named.matches(".named")) return;
  named.classList.add("named");
  named.scrollIntoView({ block: "center" });
}

async function press(element, act) {
  if (element.getAttribute("aria-busy") === "true") return;
  if (element.dataset.confirm && !(await confirmed(element.dataset.confirm))) return;
  element.setAttribute("aria-busy", "true");
  if (element.dataset.url) visit(element.dataset.url);
  await send({ do: "press", act, ...about(element) });
  element.removeAttribute("aria-busy");
}

async function submit(form) {
  const answer = await send({ do: "submit", view: form.dataset.view, values: Object.fromEntries(new FormData(form)) });
  for (const place of form.querySelectorAll(".error")) place.textContent = "";
  for (const [block, words] of Object.entries(answer.errors ?? {})) {
    const input = [...form.querySelectorAll("[name]")].find((one) => one.name.startsWith(`${block} `));
    if (input) input.closest(".input").querySelector(".error").textContent = words;
  }
}

document.addEventListener("click", (event) => {
  const element = event.target.closest("button, a");
  for (const menu of document.querySelectorAll(".overflow[open]")) {
    if (!menu.contains(event.target) || element) menu.open = false;
  }
  if (!element) return;
  if (element.href?.startsWith("https://sandbox.slack.com/")) {
    event.preventDefault();
    visit(element.href);
  }
  const { act, do: doing, shortcut, try: words } = element.dataset;
  if (act) press(element, JSON.parse(act));
  if (doing === "close") send({ do: "close", ...about(element) });
  else if (doing) send({ do: doing, shortcut, ...about(element) });
  if (words) send({ do: "say", channel, text: words });
});

document.addEventListener("change", (event) => {
  const { act } = event.target.dataset;
  if (act && event.target.value) press(event.target, { ...JSON.parse(act), value: event.target.value });
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "dialog") return;
  event.preventDefault();
  if (form.dataset.view) submit(form);
});

document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.activeElement?.closest(".overflow[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

find("dialog").addEventListener("cancel", (event) => {
  event.preventDefault();
  const view = find("dialogs").querySelector("[data-view]");
  if (view) send({ do: "close", view: view.dataset.view });
});

for (const form of document.querySelectorAll(".line form")) {
  const input = form.elements.text;
  const draft = `${as} ${channel} ${form.id === "reply" ? thread : ""}`;
  input.value = sessionStorage.getItem(draft) ?? "";
  input.addEventListener("input", () => sessionStorage.setItem(draft, input.value));
  form.addEventListener("submit", async () => {
    const text = input.value;
    const answer = await send({ do: "say", channel, text, thread: form.id === "reply" ? thread : "" });
    if (answer.says || input.value !== text) return;
    input.value = "";
    sessionStorage.removeItem(draft);
  });
}

if (place === "home" || place === "direct") send({ do: "open", in: place });
addEventListener("hashchange", arrive);
new EventSource(`/live${location.search}`).onmessage = (event) => show(JSON.parse(event.data));
