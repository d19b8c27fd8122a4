// While a photo waits for its verdict, look again and again, and replace the cards that have one.
// Only those: whoever works in another card, by mouse or keyboard, isn't disturbed.
(() => {
  let pause = 800;
  const look = async () => {
    const waiting = document.querySelectorAll("#photos [data-pending]");
    if (!waiting.length) return;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (!answer.ok || answer.redirected) return; // logged out, or the person is erased
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
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
      // the server is being restarted: the next look tells
    }
    pause = Math.min(pause * 1.3, 5000);
    setTimeout(look, pause);
  };
  setTimeout(look, pause);
})();
