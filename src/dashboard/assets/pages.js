// What pages can do beyond links and forms. Everything works without it, but live rows.

// A result, or a problem, takes the focus, so that it is read out and can't be missed.
document.querySelector("[data-focus]")?.focus();

// Links that are good once show a button; in a browser it is pressed at once.
document.querySelector("form[data-submit-now]")?.requestSubmit();

// One menu at a time; Escape and a click elsewhere close it.
const menus = () => document.querySelectorAll("details.menu[open]");
document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

const announce = (text) => {
  document.getElementById("announce").textContent = text;
};

// Buttons that need a script are hidden until there is one.
for (const button of document.querySelectorAll("[data-copy]")) {
  const label = button.textContent;
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const source = document.querySelector(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      button.textContent = "Copied";
      announce(`Copied: ${label}`);
    } catch {
      button.textContent = "Could not copy";
    }
    setTimeout(() => (button.textContent = label), 2000);
  });
}

for (const button of document.querySelectorAll("[data-toggle]")) {
  const field = document.querySelector(button.dataset.toggle);
  button.hidden = false;
  button.addEventListener("click", () => {
    const show = field.type === "password";
    field.type = show ? "text" : "password";
    button.textContent = show ? button.dataset.hide : button.dataset.show;
  });
}

for (const form of document.querySelectorAll("form[data-submit-on-change]")) {
  for (const select of form.querySelectorAll("select")) {
    select.addEventListener("change", () => form.requestSubmit());
  }
}

// Something that is under way: its parts are renewed until it isn't, without moving the focus.
const lookAgain = async () => {
  const answer = await fetch(location.pathname).catch(() => null);
  if (!answer) return setTimeout(lookAgain, 5000);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!page.querySelector("[data-look-again]")) {
    // What was just done is still to be read, unless it is that this has begun.
    const over = document.querySelector("[data-look-again=begun]");
    return over ? location.replace(location.pathname) : location.reload();
  }
  for (const part of document.querySelectorAll("[data-part]")) {
    const renewed = page.querySelector(`[data-part="${part.dataset.part}"]`);
    if (renewed) part.replaceWith(renewed);
  }
  setTimeout(lookAgain, 1000);
};
if (document.querySelector("[data-look-again]")) setTimeout(lookAgain, 1000);

// Only the fields of the chosen kind of authentication.
for (const set of document.querySelectorAll("[data-auth]")) {
  const show = () => {
    const kind = set.querySelector("input[name=auth]:checked")?.value;
    for (const part of set.querySelectorAll("[data-auth-of]")) part.hidden = part.dataset.authOf !== kind;
  };
  set.addEventListener("change", show);
  show();
}

// The picker of events: a search, groups taken as a whole, and a sentence that sums it up.
for (const picker of document.querySelectorAll("[data-picker]")) {
  const events = [...picker.querySelectorAll("[data-event]")];
  if (events.length === 0) continue;
  const all = picker.querySelector("[data-all]");
  const summary = picker.querySelector("[data-summary]");
  const start = summary?.textContent;
  const update = () => {
    for (const group of picker.querySelectorAll("[data-group]")) {
      const whole = group.querySelector("[data-all-of-group]");
      for (const box of group.querySelectorAll("[data-event] input")) {
        if (whole?.checked || all?.checked) box.checked = true;
        box.disabled = Boolean(whole?.checked || all?.checked);
      }
      if (whole) whole.disabled = Boolean(all?.checked);
    }
    const chosen = events.filter((event) => event.querySelector("input").checked).length;
    if (!summary) return;
    if (all?.checked) summary.textContent = "All events, also those that are added later.";
    else summary.textContent = chosen === 0 ? start : `${chosen} of ${events.length} events chosen.`;
  };
  picker.addEventListener("change", (event) => {
    const whole = event.target.closest("[data-all-of-group]");
    if (whole && !whole.checked) {
      for (const box of whole.closest("[data-group]").querySelectorAll("[data-event] input")) box.checked = false;
    }
    if (event.target === all && !all.checked) for (const one of events) one.querySelector("input").checked = false;
    update();
  });
  if (events.length > 8) {
    const search = document.createElement("input");
    search.type = "search";
    search.placeholder = "Search events";
    search.setAttribute("aria-label", "Search events");
    search.addEventListener("input", () => {
      const wanted = search.value.trim().toLowerCase();
      for (const event of events) event.hidden = !event.textContent.toLowerCase().includes(wanted);
      for (const group of picker.querySelectorAll("[data-group]")) {
        group.hidden = [...group.querySelectorAll("[data-event]")].every((event) => event.hidden);
      }
    });
    summary?.after(search);
  }
  update();
}

// What is typed is checked by the server, in the words it would use when the form is sent.
for (const form of document.querySelectorAll("form[data-check]")) {
  const touched = new Set();
  let waiting;
  const check = async () => {
    const answer = await fetch(form.dataset.check, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (!answer.ok) return;
    const problems = await answer.json();
    for (const part of form.querySelectorAll("[data-field]")) {
      const field = part.dataset.field;
      if (!touched.has(field)) continue;
      const name = Object.keys(problems).find((one) => one === field || one.startsWith(`${field}.`));
      const old = part.querySelector(".error");
      part.classList.toggle("wrong", Boolean(name));
      if (!name) old?.remove();
      else if (old) old.textContent = problems[name];
      else {
        const sentence = document.createElement("p");
        sentence.className = "error";
        sentence.id = `${field}-error`;
        sentence.textContent = problems[name];
        const before = part.querySelector(".hint") ?? part.querySelector("label, legend");
        before.after(sentence);
      }
    }
  };
  form.addEventListener("change", (event) => {
    const field = event.target.closest("[data-field]")?.dataset.field;
    if (!field) return;
    touched.add(field);
    clearTimeout(waiting);
    waiting = setTimeout(check, 150);
  });
}

// Newer deliveries wait behind a count, and come in when asked. The switch is remembered.
const live = document.querySelector("[data-live]");
if (live) {
  const button = live.querySelector("[data-new]");
  const toggle = live.querySelector("[data-live-switch]");
  let source;
  const stop = () => source?.close();
  const start = () => {
    stop();
    source = new EventSource(live.dataset.live);
    source.onmessage = (event) => {
      const count = Number(event.data);
      button.hidden = count === 0;
      button.textContent = count >= 50 ? "50 or more new: show them" : `${count} new: show ${count === 1 ? "it" : "them"}`;
    };
  };
  const follow = () => (toggle.checked ? start() : stop());
  toggle.checked = sessionStorage.getItem("live") !== "off";
  toggle.addEventListener("change", () => {
    sessionStorage.setItem("live", toggle.checked ? "on" : "off");
    if (!toggle.checked) button.hidden = true;
    follow();
  });
  button.addEventListener("click", async () => {
    const answer = await fetch(location.href);
    if (!answer.ok) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.getElementById("log").replaceWith(page.getElementById("log"));
    live.dataset.live = page.querySelector("[data-live]").dataset.live;
    button.hidden = true;
    announce("New deliveries were added at the top of the list.");
    start();
  });
  addEventListener("pagehide", stop);
  live.hidden = false;
  follow();
}

// A time of one's own is chosen by entering it, and left by choosing another.
for (const form of document.querySelectorAll("form[data-span]")) {
  const since = form.querySelector("[name=since]");
  since.addEventListener("input", () => (form.querySelector("[data-own]").checked = true));
  form.addEventListener("change", (event) => {
    if (event.target.name === "range" && !event.target.matches("[data-own]")) since.value = "";
  });
}

// A page that keeps itself up to date while somebody looks at it.
const kept = document.querySelector("[data-refresh]");
if (kept) {
  const label = document.querySelector("[data-refresh-switch]");
  const toggle = label.querySelector("input");
  label.hidden = false;
  toggle.checked = sessionStorage.getItem("refresh") !== "off";
  toggle.addEventListener("change", () => sessionStorage.setItem("refresh", toggle.checked ? "on" : "off"));
  setInterval(async () => {
    const region = document.getElementById(kept.id);
    if (!toggle.checked || document.hidden || region.contains(document.activeElement)) return;
    try {
      const answer = await fetch(location.href);
      if (answer.redirected) return location.reload();
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      region.replaceWith(page.getElementById(kept.id));
    } catch {
      // The server is away for now; the next round asks again.
    }
  }, 5000);
}
