// Makes the nodes of the page: text is set as text, so nothing that a passport says can become markup.

const passportNodes = (document) => ({
  at: (id) => document.getElementById(id),
  make: (tag, text = "", name = "") => {
    const made = document.createElement(tag);
    if (text !== "") made.textContent = text;
    if (name !== "") made.className = name;
    return made;
  },
});
