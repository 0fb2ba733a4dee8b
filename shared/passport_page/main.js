// Runs when the page is loaded: judges the passport in the page by the trust in the page, and whatever files the reader drops on it:
// another passport, or roots and a policy of the reader's own. Nothing is fetched and nothing is sent.

const MAX_DROPPED_FILES = 64;

const embedded = (id) => JSON.parse(document.getElementById(id).textContent);

const shown = { passport: null, trust: null, whose: "" };

// A file is what it looks like: JSON is a passport, text with a quorum line a policy, anything else a root certificate.
const kindOfFile = (bytes) => {
  if (bytes[0] === 0x7b) return "passport";
  return bytes[0] === 0x80 ? "root" : "policy";
};

const judgeShown = async () => {
  document.documentElement.dataset.verdict = "judging";
  let report;
  try {
    report = await judgePassport(shown.passport, shown.trust);
    drawReport(report, document);
    document.getElementById("whose-trust").textContent = shown.whose;
  } catch (error) {
    document.documentElement.dataset.verdict = "red";
    document.getElementById("verdict").dataset.state = "red";
    document.getElementById("verdict-word").textContent = "Not checked";
    document.getElementById("verdict-title").textContent = "This page could not finish the checks";
    document.getElementById("verdict-text").textContent = `Do not rely on anything you see here: ${error.message}`;
    return;
  }
  document.documentElement.dataset.verdict = report.green ? "green" : "red";
};

const takeFiles = async (files) => {
  if (files.length === 0) return;
  const taken = { passport: [], root: [], policy: [] };
  for (const file of [...files].slice(0, MAX_DROPPED_FILES)) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    taken[kindOfFile(bytes)].push({ bytes, name: file.name });
  }
  for (const { bytes } of taken.passport) shown.passport = bytes;
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
    shown.whose = `Judged by your own files (${own.join("; ")})${isWhole ? "." : "; the rest came with this page."}`;
  }
  await judgeShown();
};

// A choice of files for those who cannot drop any.
const offerFiles = () => {
  const place = document.getElementById("trust");
  const whose = document.createElement("p");
  whose.id = "whose-trust";
  const label = document.createElement("label");
  label.textContent =
    "Check by your own trust: choose or drop root certificates (.oer) and a policy of your own, or another passport (.json). ";
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = true;
  input.id = "own-files";
  input.addEventListener("change", () => takeFiles(input.files));
  label.append(input);
  place.before(whose, label);
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      if (name === "drop") takeFiles(event.dataTransfer.files);
    });
  }
};

const begin = async () => {
  offerFiles();
  try {
    shown.passport = embedded("passport");
    shown.trust = embedded("trust-data");
  } catch (error) {
    shown.passport = "";
    shown.trust = { roots: [], policy: "", at: null };
  }
  shown.whose = "Judged by the roots and the policy that whoever made this page put into it.";
  await judgeShown();
};

begin();
