// The template's field: Jinja in colour, and the rows' fields as buttons that insert them. Without this file it is a plain textarea.
//
//   colour   a copy of the text, in spans, lies behind the textarea, whose own letters are transparent; both wrap alike (studio.css)
//   text     {# comment #}   {{ expression }}   {% statement %}   {% raw %} text {% endraw %}   |||
//   inside   "string" 'string' 12.5 name keyword; braces in an expression are paired before }} closes it
"use strict";

const MOST_COLOURED = 20000;
const KEYWORDS = new Set(("and or not in is if elif else endif for endfor set endset macro endmacro call endcall filter endfilter with endwith block endblock " +
  "raw endraw import from include recursive true false none True False None").split(" "));
const OUTSIDE = /\{#[^]*?(?:#\}|$)|\{\{|\{%|\|\|\|/g;
const INSIDE = /("(?:[^"\\]|\\[^])*"?|'(?:[^'\\]|\\[^])*'?)|(\d+(?:\.\d+)?)|([\p{L}_][\p{L}\p{N}_]*)|[^]/uy;

// [[class or "", text], ...] of a template; the texts together are the template.
const pieces = (text) => {
  const found = [];
  const add = (kind, part) => { if (part) found.push([kind, part]); };
  let at = 0;
  while (at < text.length) {
    OUTSIDE.lastIndex = at;
    const open = OUTSIDE.exec(text);
    add("", text.slice(at, open ? open.index : text.length));
    if (!open) break;
    at = open.index + open[0].length;
    if (open[0].startsWith("{#")) add("comment", open[0]);
    else if (open[0] === "|||") add("bar", open[0]);
    else at = tag(text, at, open[0], add);
  }
  return found;
};

// The pieces of what stands behind "{{" or "{%" (which end at `at`); where it ends.
const tag = (text, at, open, add) => {
  const close = open === "{{" ? "}}" : "%}";
  let depth = 0;
  let first = "";
  add("tag", open);
  while (at < text.length) {
    if (depth === 0 && text.startsWith(close, at)) {
      add("tag", close);
      at += 2;
      if (first !== "raw") return at;
      const end = /\{%[-+]?\s*endraw/.exec(text.slice(at));
      add("", text.slice(at, end ? at + end.index : text.length));
      return end ? at + end.index : text.length;
    }
    INSIDE.lastIndex = at;
    const [part, string, number, word] = INSIDE.exec(text);
    first ||= word || "";
    depth += part === "{" ? 1 : part === "}" && depth ? -1 : 0;
    add(string ? "string" : number ? "number" : KEYWORDS.has(word) ? "keyword" : "", part);
    at += part.length;
  }
  return at;
};

const colour = (field) => {
  const editor = document.createElement("span");
  const behind = document.createElement("pre");
  editor.className = "editor";
  behind.setAttribute("aria-hidden", "true");
  field.before(editor);
  editor.append(behind, field);
  const paint = () => {
    const text = field.value;
    const parts = text.length > MOST_COLOURED ? [["", text]] : pieces(text);
    behind.replaceChildren(...parts.map(([kind, part]) => {
      if (!kind) return part;
      const span = document.createElement("span");
      span.className = `jinja-${kind}`;
      span.textContent = part;
      return span;
    }), "\n");
    behind.scrollTop = field.scrollTop;
  };
  field.addEventListener("input", paint);
  field.addEventListener("scroll", () => { behind.scrollTop = field.scrollTop; });
  new ResizeObserver(() => { // of its content, which a scroll bar narrows
    behind.style.width = `${field.clientWidth + 2}px`;
    behind.scrollTop = field.scrollTop;
  }).observe(field);
  addEventListener("pageshow", paint);
  paint();
};

// What a button inserts: a name alone where the cursor stands inside of a tag.
const insert = (field, expression) => {
  const before = field.value.slice(0, field.selectionStart);
  const inside = Math.max(before.lastIndexOf("{{"), before.lastIndexOf("{%")) > Math.max(before.lastIndexOf("}}"), before.lastIndexOf("%}"));
  const text = expression === "|||" ? " ||| " : inside ? expression : `{{ ${expression} }}`;
  field.focus();
  if (document.execCommand("insertText", false, text)) return; // which keeps the browser's undo
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
};

// Names as templates read them: "-" is "_" there, and what is no name even so cannot be read.
const expressions = (rows) => {
  const found = new Map();
  for (const key of rows.querySelectorAll("dl.row > dt")) {
    const name = key.textContent.replaceAll("-", "_");
    if (/^[\p{L}_][\p{L}\p{N}_]*$/u.test(name) && !found.has(name)) found.set(name, /^\d{1,3}$/.test(key.nextElementSibling?.textContent ?? ""));
  }
  return [...found.keys(), ...[...found].filter(([, whole]) => whole).map(([name]) => `answer_choices[${name}]`), "|||"];
};

const template = document.getElementById("jinja");
const offered = document.getElementById("insert");

if (template && offered) {
  const rows = document.getElementById("preview-rows");
  const offer = () => {
    const names = expressions(rows);
    if (names.length < 2 || names.join("\n") === offered.dataset.names) return;
    offered.dataset.names = names.join("\n");
    offered.replaceChildren(...names.map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => insert(template, name));
      return button;
    }));
    offered.hidden = false;
  };
  colour(template);
  document.addEventListener("previewed", offer);
  offer();
}
