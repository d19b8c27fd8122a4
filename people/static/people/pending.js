// While photos are being checked, load the page again and again, and replace the cards that have a verdict.
// The other cards stay as they are, so that people who are using them aren't disturbed.
(() => {
  let pause = 800;
  const refresh = async () => {
    const waiting = document.querySelectorAll("#photos [data-pending]");
    if (!waiting.length) return;
    try {
      const response = await fetch(location.href, { credentials: "same-origin" });
      if (!response.ok || response.redirected) return; // logged out, or the person was erased
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      for (const card of waiting) {
        const fresh = page.getElementById(card.id);
        if (!fresh) card.remove();
        else if (!fresh.matches("[data-pending]")) {
          card.replaceWith(fresh);
          const verdict = fresh.querySelector(".verdict").textContent;
          document.getElementById("verdict-news").textContent = `A photo was ${verdict}.`;
        }
      }
    } catch (error) {
      // the server may be restarting: try again
    }
    pause = Math.min(pause * 1.3, 5000);
    setTimeout(refresh, pause);
  };
  setTimeout(refresh, pause);
})();
