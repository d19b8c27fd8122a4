// While a photo waits for its verdict, look again every second and a half and show what changed.
(() => {
  const look = async () => {
    const photos = document.getElementById("photos");
    if (!photos || !photos.querySelector("[data-pending]")) return;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("photos");
      if (fresh) photos.replaceWith(fresh);
    } catch (error) {
      // the server is being restarted: the next look tells
    }
    setTimeout(look, 1500);
  };
  setTimeout(look, 800);
})();
