// Shows the verdict on a photo as soon as the worker has it. Without JavaScript the page reloads itself.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const list = document.querySelector("[data-states-url]");
  const news = document.getElementById("verdict-news");
  let wait = 700;

  async function fetched(url) {
    const response = await fetch(url, { credentials: "same-origin" });
    if (!response.ok || response.redirected) throw new Error(response.status); // logged out, or erased
    return response;
  }

  async function refresh() {
    const pending = [...list.querySelectorAll('[data-status="pending"]')];
    if (pending.length === 0) return;
    try {
      const states = await (await fetched(list.dataset.statesUrl)).json();
      for (const card of pending) {
        if (states[card.dataset.photo] === "pending") continue;
        if (!(card.dataset.photo in states)) {
          card.remove();
          continue;
        }
        const held = document.createElement("template");
        held.innerHTML = await (await fetched(card.dataset.cardUrl)).text();
        card.replaceWith(held.content);
        news.textContent = `A photo was ${states[card.dataset.photo]}.`;
      }
    } catch {
      return;
    }
    wait = Math.min(wait * 1.2, 5000);
    setTimeout(refresh, wait);
  }

  setTimeout(refresh, wait);
});
