// Elements and texts. What comes from an account only ever becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";
const byName = (name) => document.getElementById(name);

/** An element with attributes and children; a child that is no node becomes text. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  return filled(element, attributes, children);
}

/** The same of SVG. */
function drawn(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  for (const child of children.flat()) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** A number as people write it. */
const figure = (number) => number.toLocaleString("en");

/** Seconds since the Unix epoch, or a timestamp, to the minute in UTC. */
function minute(time) {
  if (!time) return "–";
  const text = typeof time === "number" ? new Date(time * 1000).toISOString() : time;
  return text.slice(0, 16).replace("T", " ");
}

/** Runs `work` once the hand has stopped typing. */
function afterTyping(input, work) {
  let waiting = 0;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(work, 120);
  });
}
