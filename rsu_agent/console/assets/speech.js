// What a listener is told unasked: what matters, one thing at a time, and never faster than it can be heard. Where the same happens
// again before its turn has come, the number is told instead of each.

const SPEAK_EVERY_MS = 3000;

const speech = { waiting: new Map(), at: -Infinity };

// `words` gets how often this kind of thing has happened since it was last told; the latest is what is said.
const announce = (kind, words) => {
  const count = (speech.waiting.get(kind)?.count ?? 0) + 1;
  speech.waiting.set(kind, { count, words });
};

const speak = () => {
  if (speech.waiting.size === 0 || performance.now() - speech.at < SPEAK_EVERY_MS) return;
  const [kind, { count, words }] = speech.waiting.entries().next().value;
  speech.waiting.delete(kind);
  speech.at = performance.now();
  at("announcer").textContent = words(count);
};
