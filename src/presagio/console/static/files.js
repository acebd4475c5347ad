// Forms with files: answers are put into the page, so that chosen files stay chosen.
"use strict";

const region = () => document.querySelector("[data-answer]");

function say(form, text) {
  const note = document.createElement("p");
  note.className = "note bad";
  note.setAttribute("role", "alert");
  note.textContent = text;
  region().replaceChildren(note);
}

function tooLarge(form) {
  const files = [...form.querySelectorAll("input[type=file]")].flatMap((one) => [...one.files]);
  return files.reduce((sum, file) => sum + file.size, 0) > Number(form.dataset.mostBytes);
}

async function ask(form, button) {
  if (form.dataset.busy) return;
  if (tooLarge(form)) return say(form, form.dataset.tooLarge);
  form.dataset.busy = "yes";
  form.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(button?.hasAttribute("formaction") ? button.formAction : form.action, {
      method: "POST", body: new FormData(form, button),
    });
    if (answer.redirected) return location.assign(answer.url);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.querySelector("[data-answer]");
    if (found) {
      region().replaceChildren(...found.childNodes);
      region().focus();
    } else {
      // A page about something else, such as a session that has ended.
      say(form, page.querySelector("main h1, main [role=alert]")?.textContent || answer.statusText);
    }
  } catch {
    say(form, form.dataset.failed);
  } finally {
    delete form.dataset.busy;
    form.removeAttribute("aria-busy");
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!("keepFiles" in form.dataset)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  ask(form, event.submitter);
}, true);

// What is chosen or dropped is looked at right away.
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (!form || !("keepFiles" in form.dataset) || !event.target.matches("[data-look]")) return;
  region().replaceChildren();
  const chosen = [...form.querySelectorAll("input[type=file]")].some((one) => one.files.length);
  if (chosen) form.requestSubmit(form.querySelector("[data-first]"));
});
