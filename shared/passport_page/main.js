// Runs when the page is loaded: judges the passport in the page by the trust in the page, and whatever files the reader drops on it:
// another passport or the page of one, or roots and a policy of the reader's own. Nothing is fetched and nothing is sent.

const MAX_DROPPED_FILES = MAX_TRUSTED_ROOTS + 2;
const MAKERS_TRUST = "Judged by the roots and the policy that whoever made this page put into it.";

const shown = { passport: null, trust: { roots: [], policy: "", at: null }, whose: MAKERS_TRUST };

const tell = (state, verdict, { word, title, text }) => {
  document.documentElement.dataset.verdict = verdict;
  document.getElementById("verdict").dataset.state = state;
  document.getElementById("verdict-word").textContent = word;
  document.getElementById("verdict-title").textContent = title;
  document.getElementById("verdict-text").textContent = text;
  document.title = `${word}: vehicle passport`;
};

// What the reader chose cannot be judged: that says nothing about any passport.
class NotChosen extends Error {}

const tellFault = (error) => {
  document.getElementById("report").hidden = true;
  if (error instanceof NotChosen) {
    tell("unchecked", "unchecked", { word: "Not checked", title: "Choose other files", text: `Nothing was checked: ${error.message}.` });
    return;
  }
  tell("red", "red", {
    word: "Not genuine",
    title: "This cannot be checked",
    text: `Do not rely on anything you see here: ${error.message}`,
  });
};

// Tells how far it is, and lets the browser draw that, ten times a second at most.
const progressTold = () => {
  let last = 0;
  return async (words) => {
    if (performance.now() - last < 100) return;
    last = performance.now();
    document.getElementById("verdict-text").textContent = words;
    await new Promise((done) => setTimeout(done, 0));
  };
};

// The verdict of a passport that was shown before must not stand beside another one: it is taken down first.
const judgeShown = async () => {
  document.getElementById("report").hidden = true;
  document.getElementById("whose-trust").textContent = shown.whose;
  if (shown.passport === null) {
    tell("unchecked", "empty", {
      word: "No passport",
      title: "Choose a passport to check",
      text: "This page carries no passport. Drop one here, or the page that somebody sent you: it will not be run, only read.",
    });
    return;
  }
  tell("unchecked", "judging", { word: "Not checked", title: "Checking", text: "This may take a moment for a long passport." });
  const report = await judgePassport(shown.passport, shown.trust, progressTold());
  drawReport(report, document);
  document.documentElement.dataset.verdict = document.getElementById("verdict").dataset.state;
};

// A file is what it begins with: a brace a passport, an angle bracket a page, 80 a certificate, anything else is read as a policy.
const kindOfFile = (bytes) => ({ 0x7b: "passport", 0x3c: "page", 0x80: "root" })[bytes[0]] || "policy";

const takeFiles = async (files) => {
  const taken = { passport: [], page: [], root: [], policy: [] };
  if (files.length > MAX_DROPPED_FILES) throw new NotChosen(`${files.length} files are too many at once`);
  for (const file of files) {
    if (file.size > MAX_PAGE_BYTES) throw new NotChosen(`${file.name} is longer than any passport or page`);
    const bytes = new Uint8Array(await file.arrayBuffer());
    taken[kindOfFile(bytes)].push({ bytes, name: file.name });
  }
  const passports = [...taken.passport.map(({ bytes }) => bytes), ...taken.page.map(({ bytes }) => passportOfPage(bytes))];
  if (passports.length > 1) throw new NotChosen(`the files are ${passports.length} passports: choose one, for the verdict is of one`);
  if (taken.policy.length > 1) throw new NotChosen(`${taken.policy.length} of the files are neither passport nor root: choose one policy`);
  shown.passport = passports.length === 1 ? passports[0] : shown.passport;
  const own = [];
  if (taken.root.length > 0) {
    shown.trust = { ...shown.trust, roots: taken.root.map(({ bytes }) => encodeBase64(bytes)) };
    own.push(`roots: ${taken.root.map(({ name }) => name).join(", ")}`);
  }
  for (const { bytes, name } of taken.policy) {
    shown.trust = { ...shown.trust, policy: encodeBase64(bytes) };
    own.push(`policy: ${name}`);
  }
  if (own.length > 0) {
    const isWhole = taken.root.length > 0 && taken.policy.length > 0;
    shown.whose = `Judged by your own files (${own.join("; ")})${isWhole ? "." : "; the rest was here before."}`;
  }
};

// One thing after the other; whatever goes wrong is told in red.
let working = Promise.resolve();

const afterwards = (work) => {
  working = working.then(work).catch(tellFault);
  return working;
};

const takeAndJudge = (files) => {
  if (files.length > 0) {
    afterwards(async () => {
      await takeFiles(files);
      await judgeShown();
    });
  }
};

// A choice of files, for those who cannot drop any.
const offerFiles = () => {
  const place = document.getElementById("own-trust") || document.getElementById("report");
  const box = document.createElement("section");
  const whose = document.createElement("p");
  whose.id = "whose-trust";
  const label = document.createElement("label");
  label.textContent =
    "Check another passport (.json, or the page of one), or check by whom you trust yourself: root certificates (.oer) and a policy. " +
    "Drop the files anywhere on this page or choose them here. ";
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = true;
  input.id = "own-files";
  input.addEventListener("change", () => takeAndJudge([...input.files]));
  label.append(input);
  box.append(whose, label);
  place.after(box);
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    takeAndJudge([...event.dataTransfer.files]);
  });
};

afterwards(async () => {
  offerFiles();
  shown.trust = JSON.parse(document.getElementById("trust-data").textContent);
  shown.passport = passportOfText(document.getElementById("passport").textContent);
  await judgeShown();
});
