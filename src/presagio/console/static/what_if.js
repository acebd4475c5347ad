// The page "What if": sliders beside the numbers, and the answer as they move.
"use strict";

(() => {
  const form = document.getElementById("reading");
  const answer = document.getElementById("answer");
  if (!form || !answer) return;
  for (const slider of form.querySelectorAll("input[type=range]")) {
    const number = document.getElementById(slider.dataset.for);
    slider.hidden = false;
    slider.value = number.value;
    slider.addEventListener("input", () => { number.value = slider.value; });
    number.addEventListener("input", () => { if (number.value !== "") slider.value = number.value; });
  }
  let waiting = 0;
  let running = null;
  async function ask() {
    if (!form.checkValidity()) return;
    if (running) running.abort();
    running = new AbortController();
    const fields = new URLSearchParams(new FormData(form));
    try {
      const reply = await fetch(`${form.dataset.answer}?${fields}`, { signal: running.signal });
      const text = await reply.text();
      // A page instead of the answer, such as that of the sign-in, is shown as a whole.
      if (!reply.ok || reply.redirected) form.submit();
      else answer.innerHTML = text;
    } catch (error) {
      if (error.name !== "AbortError") form.submit();
    }
  }
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, 150);
  });
})();
