// Small things that pages do without; each works on what the server has rendered.
"use strict";

// The menu and filters are open without scripts; on a narrow screen they start closed.
const narrow = matchMedia("(max-width: 60rem)");
function fold() {
  for (const part of document.querySelectorAll("details.menu, details.fold")) {
    part.open = !narrow.matches;
  }
}
narrow.addEventListener("change", fold);
fold();

// A form that is on its way is not sent twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.hasAttribute("hx-post")) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// Buttons that print the page.
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) print();
});

// Filters are sent as soon as one is chosen.
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form && "sendOnChange" in form.dataset && event.target.tagName === "SELECT") {
    form.requestSubmit();
  }
});
