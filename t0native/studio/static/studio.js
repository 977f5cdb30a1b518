// The live preview, keys, and a word before unsaved text is left. Everything else works without this file.
"use strict";

const writer = document.getElementById("writer");

if (writer) {
  const address = writer.getAttribute("data-preview"); // writer.dataset is the form's field of that name
  const shown = document.getElementById("preview-rows");
  const saved = new URLSearchParams(new FormData(writer)).toString();
  let timer = 0;
  let running = null;
  let leaving = false;

  const preview = async () => {
    if (running) running.abort();
    const mine = (running = new AbortController());
    try {
      const answer = await fetch(address, { method: "POST", body: new URLSearchParams(new FormData(writer)), signal: mine.signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      // A page of an error has a <main>; a preview is the fragment alone. The server has escaped both.
      const part = page.querySelector("main") || page.body;
      const open = [...shown.querySelectorAll("details")].map((details) => details.open);
      shown.replaceChildren(...part.childNodes);
      shown.querySelectorAll("details").forEach((details, at) => { if (at < open.length) details.open = open[at]; });
    } catch (error) {
      if (error.name !== "AbortError") shown.textContent = "No answer from the studio. The text above is still here: try again.";
    }
  };

  writer.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(preview, 200);
  });
  writer.addEventListener("submit", () => { leaving = true; });
  addEventListener("beforeunload", (event) => {
    if (!leaving && new URLSearchParams(new FormData(writer)).toString() !== saved) event.preventDefault();
  });
  addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey)) return;
    if (event.key === "s") {
      event.preventDefault();
      writer.requestSubmit(writer.querySelector("button[name=save]"));
    } else if (event.key === "Enter") {
      event.preventDefault();
      clearTimeout(timer);
      preview();
    }
  });
}

addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const search = document.getElementById("q");
    if (search) { event.preventDefault(); search.focus(); }
  }
});
