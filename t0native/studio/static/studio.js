// The live preview, keys, a word before unsaved text is left, times of the reader's own zone. Everything else works without this file.
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
  const place = (details) => `${details.closest("section.example, section.judged")?.querySelector("h3").textContent} ${details.querySelector("summary").textContent}`;

  // asked: the name of a button that asks the model, which takes a while.
  const preview = async (asked = "") => {
    clearTimeout(timer);
    if (running) running.abort();
    const mine = (running = new AbortController());
    const body = new URLSearchParams(new FormData(writer));
    if (asked) {
      body.set(asked, "1");
      const note = document.createElement("p");
      note.className = "note";
      note.textContent = "Asking the model …";
      shown.prepend(note);
      shown.parentElement.scrollIntoView({ block: "nearest" });
    }
    try {
      const answer = await fetch(address, { method: "POST", body, signal: mine.signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      // A page of an error has a <main>; a preview is the fragment alone. The server has escaped both.
      const part = page.querySelector("main") || page.body;
      const open = new Map([...shown.querySelectorAll("details")].map((details) => [place(details), details.open]));
      shown.replaceChildren(...part.childNodes);
      for (const details of shown.querySelectorAll("details")) details.open = open.get(place(details)) ?? details.open;
      document.dispatchEvent(new Event("previewed"));
    } catch (error) {
      if (error.name !== "AbortError") shown.textContent = "No answer from the studio. The text above is still here: try again.";
    }
  };

  writer.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(preview, 200);
  });
  writer.addEventListener("submit", (event) => {
    leaving = event.submitter?.name === "save";
    if (leaving || !event.submitter) return;
    event.preventDefault();
    preview(event.submitter.name === "preview" ? "" : event.submitter.name);
  });
  // A prompt that is opened to be changed is shown as rows become by it, not as rows alone.
  if (document.getElementById("jinja").value.trim() && !shown.querySelector("pre.text")) {
    for (const details of shown.querySelectorAll("details")) details.open = false;
    preview();
  }
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

// As times.py says it, kept true while the page stays open.
const ago = (at) => {
  const seconds = (Date.now() - at) / 1000;
  if (seconds >= 30 * 86400) return at.toLocaleDateString("en-GB", { dateStyle: "long" });
  for (const [length, name] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) {
    const count = Math.floor(seconds / length);
    if (count >= 1) return `${count} ${name}${count > 1 ? "s" : ""} ago`;
  }
  return "just now";
};
const tellTimes = () => {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    time.title = at.toLocaleString("en-GB", { dateStyle: "long", timeStyle: "long" });
    time.textContent = ago(at);
  }
};
tellTimes();
if (document.querySelector("time[datetime]")) setInterval(tellTimes, 60000);
