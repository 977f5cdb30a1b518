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

  // What stays open when the preview is replaced: a row's part is known by the row's heading and its own.
  const place = (details) => `${details.closest("section.example")?.querySelector("h3").textContent} ${details.querySelector("summary").textContent}`;

  const preview = async () => {
    if (running) running.abort();
    const mine = (running = new AbortController());
    try {
      const answer = await fetch(address, { method: "POST", body: new URLSearchParams(new FormData(writer)), signal: mine.signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      // A page of an error has a <main>; a preview is the fragment alone. The server has escaped both.
      const part = page.querySelector("main") || page.body;
      const open = new Map([...shown.querySelectorAll("details")].map((details) => [place(details), details.open]));
      shown.replaceChildren(...part.childNodes);
      for (const details of shown.querySelectorAll("details")) details.open = open.get(place(details)) ?? details.open;
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
