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
