// While an import runs, look again and again and show how far it is. The files follow when it ended,
// or while there are none: whoever reads them, by mouse or keyboard, isn't disturbed.
(() => {
  let pause = 800;
  const look = async () => {
    const progress = document.getElementById("import-progress");
    if (!progress.matches("[data-running]")) return;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (!answer.ok || answer.redirected) return; // logged out, or the collection is deleted
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("import-progress");
      const ended = !fresh.matches("[data-running]");
      if (ended || !progress.contains(document.activeElement)) progress.replaceWith(fresh);
      const results = document.getElementById("import-results");
      if (ended || !results.querySelector("li")) results.replaceWith(page.getElementById("import-results"));
      if (ended) {
        const verdict = fresh.querySelector(".verdict").textContent;
        document.getElementById("import-news").textContent = `The import is ${verdict}.`;
      }
    } catch (error) {
      // the server is being restarted: the next look tells
    }
    pause = Math.min(pause * 1.3, 5000);
    setTimeout(look, pause);
  };
  setTimeout(look, pause);
})();
