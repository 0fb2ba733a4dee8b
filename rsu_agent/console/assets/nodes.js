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

// Keeps a list's nodes: `wanted` is [key, value] in order; nodes are made once, filled anew, and removed with their key.
const keepList = (holder, kept, wanted, { fresh, fill }) => {
  const left = new Set(kept.keys());
  let before = null;
  for (const [key, value] of wanted) {
    left.delete(key);
    let node = kept.get(key);
    if (node === undefined) {
      node = fresh(key);
      kept.set(key, node);
    }
    fill(node, value);
    const place = before === null ? holder.firstElementChild : before.nextElementSibling;
    if (place !== node) holder.insertBefore(node, place);
    before = node;
  }
  for (const key of left) {
    kept.get(key).remove();
    kept.delete(key);
  }
};
