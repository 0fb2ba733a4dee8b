// Shows the report of a passport's verification: verdict, curve, records, checks, and whose word all of it stands on.
//
// Whatever comes from the passport is put into the page as text, never as markup: a hostile passport can say anything and do
// nothing. The verdict is told in words, by a sign and by colour, in this order of importance. Nothing is verified here.
//
// The report may also hold `trust`: [{title, name, fingerprint}], the keys and roots it stands on, and `passportSha256`, the
// hash of the passport's bytes in hexadecimal, to compare with a printed sheet.

const drawReport = (() => {
  const MAX_NOTES = 6;
  const MAX_SERIOUS = 30;
  const MAX_LISTED = 1000;
  const MAX_HIDDEN_LINES = 40;
  const ROLES = ["vehicle", "garage", "inspector", "insurer", "maker", "registrar"];
  const words = passportWords;

  /** Fill the page with a report. */
  function drawReport(report, document) {
    const found = {
      readings: report.readings ?? [],
      findings: report.findings ?? [],
      checks: report.checks ?? [],
    };
    const { make, at } = passportNodes(document);
    const hidden = found.readings.filter((reading) => words.hidesReading(reading)).length;
    const state = stateOf(report, found, hidden);
    const { points } = passportCurve.pointsOf(found.readings);
    const fallen = new Set(found.findings.filter(({ kind }) => kind === "rollback").map(({ seq }) => seq));
    at("report").hidden = false;
    at("curve-part").hidden = at("readings-part").hidden = found.readings.length === 0;
    drawFacts();
    drawFindings();
    drawMileage();
    drawRecords(found.readings, fallen, document);
    drawHidden();
    drawChecks();
    drawTrust();
    at("claims").hidden = !isBroken(found.checks) || found.readings.length === 0;
    drawVerdict(state, found);

    function drawVerdict(named, { checks, findings }) {
      const { word, title, text } = verdictWords(named, checks, findings, hidden, found.readings);
      at("verdict").dataset.state = named;
      at("verdict").dataset.why = named === "red" && !isBroken(checks) ? "warning" : "";
      at("verdict-word").textContent = word;
      at("verdict-title").textContent = title;
      at("verdict-text").textContent = text;
      document.title = `${word}: vehicle passport`;
    }

    function drawFacts() {
      const { readings } = found;
      const list = at("facts");
      list.replaceChildren();
      if (readings.length === 0) return;
      const fact = (name, value, more) => {
        const box = make("div");
        box.append(make("dt", name), make("dd", value));
        if (more) box.append(make("dd", more, "more-fact"));
        list.append(box);
      };
      const last = readings.findLast((reading) => typeof reading.odometerM === "number");
      const above = last && fallen.size > 0 ? `, highest ${words.km(most(points.map((point) => point.metres)))}` : "";
      const read = last ? (words.day(last.recordedAt) ?? "date not shown") + above : "";
      fact("Last reading shown", last ? words.km(last.odometerM) : "none", read);
      const dates = readings.map((reading) => words.time(reading.recordedAt)).filter((each) => each !== null);
      const days = dates.length === 0 ? ["no dates shown"] : [...new Set([least(dates), most(dates)].map(words.dayOf))];
      const span = days.join(" to ");
      fact("Records shown", words.number(readings.length, 0), span);
      const known = readings.filter((reading) => reading.isGenuine !== false);
      const roles = [...new Set(known.map((reading) => words.who(reading.role)))];
      fact("Written by", words.number(roles.length, 0), words.list(roles));
      const failed = found.checks.filter(isFault).length;
      if (failed > 0) {
        fact("Checks failed", words.number(failed, 0), "nothing is proven");
        return;
      }
      const serious = found.findings.filter((finding) => finding.severity === "red").length;
      fact("Serious findings", serious === 0 ? "None" : String(serious), serious === 0 ? "in the records shown" : "see below");
    }

    function drawFindings() {
      const { findings } = found;
      at("findings-part").hidden = findings.length === 0;
      const serious = findings.filter((finding) => finding.severity === "red");
      const sorted = [...serious, ...findings.filter((finding) => finding.severity !== "red")];
      const count = Math.min(Math.max(serious.length, MAX_NOTES), MAX_SERIOUS);
      const list = at("findings");
      list.replaceChildren(...sorted.slice(0, count).map(item));
      const rest = sorted.slice(count);
      if (rest.length === 0) return;
      const more = make("details");
      more.append(make("summary", `${words.number(rest.length, 0)} more`));
      more.addEventListener("toggle", fill);
      const holder = make("li", "", "rest");
      holder.append(more);
      list.append(holder);

      function fill() {
        more.removeEventListener("toggle", fill);
        const inside = make("ul", "", "findings");
        inside.append(...rest.slice(0, MAX_LISTED).map(item));
        const left = rest.length - MAX_LISTED;
        if (left > 0) inside.append(make("li", `and ${words.number(left, 0)} that are not listed`));
        more.append(inside);
      }

      function item({ severity, text }) {
        const isSerious = severity === "red";
        const line = make("li", "", isSerious ? "serious" : "note");
        line.append(make("strong", isSerious ? "Serious" : "Note", "label"), make("span", text));
        return line;
      }
    }

    function drawMileage() {
      const { readings } = found;
      const holder = at("curve");
      at("curve-words").textContent = passportCurve.describe(readings, fallen);
      at("legend").replaceChildren();
      holder.replaceChildren();
      let drawn = passportCurve.drawCurve(readings, fallen, document, holder.clientWidth || 720);
      if (drawn === null) return;
      let place = drawn.places.length - 1;
      const canvas = make("div");
      canvas.append(drawn.svg);
      const { slider, told } = stepper();
      holder.append(canvas);
      if (drawn.places.length > 1) holder.append(slider.parentNode);
      drawLegend(drawn);
      const view = document.defaultView;
      if (view && "ResizeObserver" in view) new view.ResizeObserver(redraw).observe(canvas);
      canvas.addEventListener("pointermove", follow);
      canvas.addEventListener("pointerdown", follow);

      function stepper() {
        const label = make("label", "", "stepper");
        const range = make("input");
        const output = make("output", "Move along the curve to read single values.");
        const attributes = { type: "range", min: 0, max: place, step: 1 };
        for (const [key, value] of Object.entries(attributes)) range.setAttribute(key, String(value));
        range.value = String(place);
        range.addEventListener("input", () => point(Number(range.value)));
        label.append(make("span", "Walk through the readings", "stepper-name"), range, output);
        return { slider: range, told: output };
      }

      function point(next) {
        place = next;
        drawn.pointAt(place);
        const { reading, metres } = drawn.places[place];
        const date = words.day(reading.recordedAt) ?? "date not shown";
        told.textContent = `${date}: ${words.km(metres)}, said by ${words.who(reading.role)} (record ${reading.seq})`;
        slider.setAttribute("aria-valuetext", told.textContent);
      }

      function follow(event) {
        const box = drawn.svg.getBoundingClientRect();
        if (box.width === 0) return;
        const x = ((event.clientX - box.left) / box.width) * drawn.width;
        let nearest = 0;
        drawn.places.forEach((each, n) => {
          if (Math.abs(each.x - x) < Math.abs(drawn.places[nearest].x - x)) nearest = n;
        });
        slider.value = String(nearest);
        point(nearest);
      }

      function redraw() {
        const width = canvas.clientWidth;
        if (width === 0 || Math.abs(width - drawn.width) < 2) return;
        drawn = passportCurve.drawCurve(readings, fallen, document, width) ?? drawn;
        canvas.replaceChildren(drawn.svg);
      }
    }

    function drawLegend({ places }) {
      const lines = [];
      const shape = (form, name) => (svg) => svg.append(passportCurve.drawShape(document, form, 11, 9, 5, name));
      const roles = new Set(places.map(({ reading }) => reading.role));
      const unknown = [...roles].some((role) => !ROLES.includes(role));
      for (const role of [...ROLES.filter((each) => roles.has(each)), ...(unknown ? [null] : [])]) {
        lines.push([`read by ${words.who(role)}`, shape(passportCurve.shapeOf(role), "sign-point")]);
      }
      const stroke = (name, d) => (svg) => {
        const path = document.createElementNS(svg.namespaceURI, "path");
        path.setAttribute("class", name);
        path.setAttribute("d", d);
        svg.append(path);
      };
      if (fallen.size > 0) lines.push(["odometer falls", stroke("fall", "M3 3L19 15")]);
      if (passportCurve.gapsOf(found.readings).length > 0) {
        lines.push(["records missing", (svg) => {
          const band = document.createElementNS(svg.namespaceURI, "rect");
          const attributes = { class: "gap", x: 2, y: 2, width: 18, height: 14 };
          for (const [key, value] of Object.entries(attributes)) band.setAttribute(key, String(value));
          svg.append(band);
        }]);
      }
      if (points.some((point) => point.was !== null)) {
        lines.push(["corrected: struck out, and what counts", stroke("struck", "M4 15L18 3")]);
      }
      if (points.some((point) => point.at === null) && points.some((point) => point.at !== null)) {
        lines.push(["no date shown: placed between its neighbours", shape("circle", "sign-point is-undated")]);
      }
      for (const [text, draw] of lines) {
        const line = make("li");
        const sign = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        const attributes = { viewBox: "0 0 22 18", "aria-hidden": "true", class: "key" };
        for (const [key, value] of Object.entries(attributes)) sign.setAttribute(key, value);
        draw(sign);
        line.append(sign, make("span", text));
        at("legend").append(line);
      }
    }

    function drawHidden() {
      const counts = new Map();
      for (const reading of found.readings) {
        for (const field of reading.fields ?? []) {
          if (!field.hidden) continue;
          const key = `${words.fieldName(field.name)} in ${words.kind(reading)} records`;
          counts.set(key, (counts.get(key) ?? 0) + 1);
        }
      }
      at("hidden-part").hidden = counts.size === 0;
      const lines = [...counts].map(([key, howMany]) => make("li", `${key}: ${words.count(howMany, "record", "records")}`));
      if (lines.length > MAX_HIDDEN_LINES) {
        const rest = lines.length - MAX_HIDDEN_LINES;
        lines.splice(MAX_HIDDEN_LINES, rest, make("li", `and ${words.count(rest, "kind of detail more", "kinds of detail more")}`));
      }
      at("hidden-list").replaceChildren(...lines);
    }

    function drawChecks() {
      const passed = found.checks.filter((check) => check.passed === true).length;
      const all = words.count(found.checks.length, "check", "checks");
      at("checks-words").textContent = `${passed} of ${all} held. Open one to read what it means.`;
      at("checks").replaceChildren(...found.checks.map(check));

      function check({ id, title, passed: held, told, explains }) {
        const [name, label] = held === true ? ["held", "Passed"] : held === false ? ["failed", "Failed"] : ["open", "Not checked"];
        const box = make("details", "", `check ${name}`);
        box.dataset.check = id ?? "";
        box.open = held === false;
        const summary = make("summary");
        summary.append(make("span", label, "label"), make("span", title ?? id));
        box.append(summary);
        if (told) box.append(part("What was found", told));
        if (explains) box.append(part("Why it matters", explains));
        return box;
      }

      function part(name, text) {
        const line = make("p");
        line.append(make("strong", `${name}. `), make("span", text));
        return line;
      }
    }

    function drawTrust() {
      const list = at("trust");
      list.replaceChildren();
      const entry = (title, name, fingerprint) => {
        const box = make("div");
        box.append(make("dt", title), make("dd", name));
        if (fingerprint) box.append(make("dd", words.grouped(String(fingerprint)), "fingerprint"));
        list.append(box);
      };
      for (const { title, name, fingerprint } of report.trust ?? []) entry(title, name, fingerprint);
      const { checkpoint, subject } = report;
      if (checkpoint) {
        const held = words.count(checkpoint.size ?? 0, "entry", "entries");
        entry("Ledger", `${checkpoint.origin}, when it held ${held}`, checkpoint.root);
        const witnesses = (checkpoint.witnesses ?? []).map((witness) => (typeof witness === "string" ? witness : witness.name));
        const names = witnesses.length === 0 ? "none: only the ledger itself vouches for it" : words.list(witnesses);
        const seen = words.day(checkpoint.seenAt);
        entry("Witnesses that saw it", seen === null ? names : `${names}, last on ${seen}`);
      }
      if (subject) entry("Key of the vehicle", "Fingerprint of the certificate under which it signs", subject);
      const { passportSha256 } = report;
      if (passportSha256) entry("This passport", "Fingerprint of the file; a printed sheet shows the same", passportSha256);
      if (list.childElementCount === 0) entry("Nobody", "No check got far enough to name anybody.");
      at("foot").textContent = "Checked in this browser. Nothing was sent anywhere.";
    }
  }

  function stateOf({ green }, { checks, findings }, hidden) {
    if (isBroken(checks)) return "red";
    if (findings.some((finding) => finding.severity === "red")) return "red";
    return green === true && hidden === 0 ? "green" : "unsure";
  }

  function isBroken(checks) {
    return checks.some((check) => isFault(check));
  }

  /** Tell a passport that is not genuine from a genuine one that shows something bad about the vehicle. */
  function isFault(check) {
    return check.passed === false && check.isAboutVehicle !== true;
  }

  /** Say how old they are: nothing else tells a passport of today from one of years ago. */
  function endOf(readings) {
    const last = readings.findLast((reading) => reading.role === "vehicle");
    const day = last ? words.day(last.recordedAt) : null;
    return `The vehicle's own last record ${day === null ? "shows no date" : `is of ${day}`}: what came after it is not here.`;
  }

  function verdictWords(state, checks, findings, hidden, readings) {
    const failed = checks.find(isFault);
    const serious = findings.filter((finding) => finding.severity === "red");
    if (failed) {
      return {
        word: "Not genuine",
        title: "Do not rely on this passport",
        text: `A check failed: ${failed.title ?? failed.id}. ${failed.told ?? ""}`.trim(),
      };
    }
    if (serious.length > 0) {
      const others = words.count(serious.length - 1, "more serious finding", "more serious findings");
      const more = serious.length === 1 ? "" : ` And ${others}, see below.`;
      return {
        word: "Warning",
        title: "The records are genuine, and they show a problem",
        text: `${serious[0].text}${more}`,
      };
    }
    if (state === "green") {
      return {
        word: "Genuine",
        title: "Every check held",
        text: `The records are signed, unchanged, in order and held by the ledger, and nothing alarming stands in them. ${endOf(readings)}`,
      };
    }
    if (hidden > 0 && checks.every((check) => check.passed === true)) {
      return {
        word: "Mileage hidden",
        title: "Every check held, but the seller does not show all readings",
        text: `The records are genuine. ${words.count(hidden, "record hides", "records hide")} their reading: ask to see it.`,
      };
    }
    return {
      word: "Not fully checked",
      title: "This browser could not finish the checks",
      text: "Some checks could not be made here. Open the file in a newer browser; rely on it only when every check has held.",
    };
  }

  function least(values) {
    return values.reduce((a, b) => Math.min(a, b));
  }

  function most(values) {
    return values.reduce((a, b) => Math.max(a, b));
  }

  return drawReport;
})();
