// While an import runs, load the page again and again and show its progress. The list of files is replaced
// when the import has ended, or while it is empty, so that people who are reading it aren't disturbed.
(() => {
  let pause = 800;
  const refresh = async () => {
    const progress = document.getElementById("import-progress");
    if (!progress.matches("[data-running]")) return;
    try {
      const response = await fetch(location.href, { credentials: "same-origin" });
      if (!response.ok || response.redirected) return; // logged out, or the collection was deleted
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
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
      // the server may be restarting: try again
    }
    pause = Math.min(pause * 1.3, 5000);
    setTimeout(refresh, pause);
  };
  setTimeout(refresh, pause);
})();
