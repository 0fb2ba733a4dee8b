// Makes the nodes of the page. Text is set as text: nothing that a vehicle says of itself can become markup.

const SVG = "http://www.w3.org/2000/svg";

const at = (id) => document.getElementById(id);

const make = (tag, name = "", text = "") => {
  const made = document.createElement(tag);
  if (name !== "") made.className = name;
  if (text !== "") made.textContent = text;
  return made;
};

const draw = (tag, attributes = {}, ...inside) => {
  const drawn = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) drawn.setAttribute(name, value);
  drawn.append(...inside);
  return drawn;
};

// Changes a text only where it is another: what stays the same is not read out again.
const say = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};

const mark = (node, name, value) => {
  if (node.dataset[name] !== value) node.dataset[name] = value;
};

// Keeps a list's nodes: `wanted` is [key, value] in order; nodes are made once, filled anew, and removed with their key. Whoever
// is in a node that goes finds themselves at the head of the section, not at the top of the page.
const keepList = (holder, kept, wanted, { fresh, fill }) => {
  const keys = new Set(wanted.map(([key]) => key));
  for (const [key, node] of kept) {
    if (keys.has(key)) continue;
    const held = node.contains(document.activeElement);
    node.remove();
    kept.delete(key);
    if (held) holder.closest("section")?.focus();
  }
  let place = holder.firstElementChild;
  for (const [key, value] of wanted) {
    let node = kept.get(key);
    if (node === undefined) {
      node = fresh(key);
      kept.set(key, node);
    }
    fill(node, value);
    if (node === place) place = place.nextElementSibling;
    else holder.insertBefore(node, place);
  }
};
