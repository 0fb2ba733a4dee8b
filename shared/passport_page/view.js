// Shows the report of a passport's verification: verdict, curve, records, checks, and whose word all of it stands on.
//
// Whatever comes from the passport is put into the page as text, never as markup: a hostile passport can say anything and do
// nothing. The verdict is told in words, by a sign and by colour, in this order of importance. Nothing is verified here.
//
// The report may also hold `trust`: [{title, name, fingerprint}], the keys and roots it stands on, and `passportSha256`, the
// hash of the passport's bytes in hexadecimal, to compare with a printed sheet.

const drawReport = (() => {
  const MANY_ROWS = 30;
  const ROWS_AT_ONCE = 250;
  const MAX_NOTES = 12;
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
    const { make, at } = maker(document);
    const hidden = found.readings.filter((reading) => reading.role === "vehicle" && hidesReading(reading)).length;
    const state = stateOf(report, found, hidden);
    const { points } = passportCurve.pointsOf(found.readings);
    const fallen = passportCurve.fallsIn(points);
    for (const { kind, seq } of found.findings) {
      if (kind === "rollback") fallen.add(seq);
    }
    at("report").hidden = false;
    at("curve-part").hidden = at("readings-part").hidden = found.readings.length === 0;
    drawFacts();
    drawFindings();
    drawMileage();
    drawReadings();
    drawHidden();
    drawChecks();
    drawTrust();
    at("claims").hidden = !isBroken(found.checks) || found.readings.length === 0;
    drawVerdict(state, found);

    function drawVerdict(named, { checks, findings }) {
      const { word, title, text } = verdictWords(named, checks, findings, hidden);
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
      fact("Last reading shown", last ? words.km(last.odometerM) : "none", last ? (words.day(last.recordedAt) ?? "date not shown") + above : "");
      const dates = readings.map((reading) => words.time(reading.recordedAt)).filter((each) => each !== null);
      const days = dates.length === 0 ? ["no dates shown"] : [...new Set([least(dates), most(dates)].map(words.dayOf))];
      const span = days.join(" to ");
      fact("Records shown", words.number(readings.length, 0), span);
      const roles = [...new Set(readings.map((reading) => words.who(reading.role)))];
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
      const notes = findings.filter((finding) => finding.severity !== "red");
      const items = [...serious.map((each) => item(each, "serious", "Serious")), ...notes.map((each) => item(each, "note", "Note"))];
      const list = at("findings");
      list.replaceChildren(...items.slice(0, Math.max(serious.length, MAX_NOTES)));
      const rest = items.slice(Math.max(serious.length, MAX_NOTES));
      if (rest.length === 0) return;
      const more = make("details");
      const inside = make("ul", "", "findings");
      inside.append(...rest);
      more.append(make("summary", `${words.count(rest.length, "more note", "more notes")}`), inside);
      const holder = make("li", "", "rest");
      holder.append(more);
      list.append(holder);

      function item({ text }, name, label) {
        const line = make("li", "", name);
        line.append(make("strong", label, "label"), make("span", text));
        return line;
      }
    }

    function drawMileage() {
      const { readings } = found;
      const holder = at("curve");
      at("curve-words").textContent = passportCurve.describe(readings);
      at("legend").replaceChildren();
      holder.replaceChildren();
      let drawn = passportCurve.drawCurve(readings, document, holder.clientWidth || 720);
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
        for (const [key, value] of [["type", "range"], ["min", "0"], ["max", String(place)], ["step", "1"]]) range.setAttribute(key, value);
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
        drawn = passportCurve.drawCurve(readings, document, width) ?? drawn;
        canvas.replaceChildren(drawn.svg);
      }
    }

    function drawLegend({ places }) {
      const lines = [];
      const roles = new Set(places.map(({ reading }) => reading.role));
      const unknown = [...roles].some((role) => !ROLES.includes(role));
      for (const role of [...ROLES.filter((each) => roles.has(each)), ...(unknown ? [null] : [])]) {
        lines.push([`read by ${words.who(role)}`, (svg) => svg.append(passportCurve.drawShape(document, passportCurve.shapeOf(role), 11, 9, 5, "sign-point"))]);
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
          for (const [key, value] of Object.entries({ class: "gap", x: 2, y: 2, width: 18, height: 14 })) band.setAttribute(key, String(value));
          svg.append(band);
        }]);
      }
      if (points.some((point) => point.was !== null)) lines.push(["corrected: struck out, and what counts", stroke("struck", "M4 15L18 3")]);
      if (points.some((point) => point.at === null) && points.some((point) => point.at !== null)) {
        lines.push(["no date shown: placed between its neighbours", (svg) => svg.append(passportCurve.drawShape(document, "circle", 11, 9, 5, "sign-point is-undated"))]);
      }
      for (const [text, draw] of lines) {
        const line = make("li");
        const sign = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        for (const [key, value] of [["viewBox", "0 0 22 18"], ["aria-hidden", "true"], ["class", "key"]]) sign.setAttribute(key, value);
        draw(sign);
        line.append(sign, make("span", text));
        at("legend").append(line);
      }
    }

    function drawReadings() {
      const { readings } = found;
      const corrected = new Map();
      for (const reading of readings) {
        if (Number.isInteger(reading.corrects)) corrected.set(reading.corrects, reading.seq);
      }
      const body = at("readings").tBodies[0];
      const choice = at("readings-choice");
      const isLong = readings.length > MANY_ROWS;
      choice.hidden = !isLong;
      choice.replaceChildren();
      const striking = readings.filter((reading, n) => isStriking(reading) || n === 0 || n === readings.length - 1);
      const buttons = [
        ["What stands out", striking],
        ["All records", readings],
      ].map(([text, rows]) => {
        const button = make("button", `${text} (${words.number(rows.length, 0)})`);
        button.type = "button";
        button.addEventListener("click", () => list(rows, button));
        choice.append(button);
        return button;
      });
      list(isLong ? striking : readings, buttons[isLong ? 0 : 1]);

      function isFall(reading) {
        return fallen.has(reading.seq);
      }

      function isStriking(reading) {
        const kind = String(reading.kind).split("/")[0];
        const isReading = kind === "odometer" || kind === "trip" || kind === "charging";
        return !isReading || reading.isGenuine === false || isFall(reading) || (reading.flags ?? []).length > 0 || Number.isInteger(reading.corrects) || corrected.has(reading.seq);
      }

      function list(rows, pressed) {
        for (const button of buttons) button.setAttribute("aria-pressed", String(button === pressed));
        const some = rows.length < readings.length ? `${words.number(rows.length, 0)} of ` : "";
        at("readings-words").textContent = `${some}${words.count(readings.length, "record", "records")}, the oldest first.`;
        body.replaceChildren();
        add(rows, 0);
      }

      function add(rows, from) {
        const until = Math.min(rows.length, from + ROWS_AT_ONCE);
        body.append(...rows.slice(from, until).map((reading) => row(reading)));
        const more = at("readings-more");
        more.hidden = until >= rows.length;
        more.replaceChildren();
        if (more.hidden) return;
        const button = make("button", `Show the next ${words.number(Math.min(ROWS_AT_ONCE, rows.length - until), 0)} of ${words.number(rows.length - until, 0)}`);
        button.type = "button";
        button.addEventListener("click", () => add(rows, until));
        more.append(button);
      }

      function row(reading) {
        const line = make("tr");
        if (isFall(reading)) line.className = "is-bad";
        const date = make("th", words.day(reading.recordedAt) ?? "not shown");
        date.scope = "row";
        const time = words.clock(reading.recordedAt);
        const which = Number.isInteger(reading.seq) ? `record ${reading.seq}` : "a record that cannot be read";
        date.append(make("span", `${time ? `${time}, ` : ""}${which}`, "under"));
        const since = reading.distanceSinceM;
        line.append(
          date,
          cell(odometerWords(reading), "n", "Odometer"),
          cell(typeof since === "number" ? words.signedKm(since) : "", "n", "Since the one before"),
          whoCell(reading),
          remarksCell(reading),
        );
        return line;
      }

      function cell(text, name, label) {
        const made = make("td", text, name);
        made.dataset.label = label;
        if (text === "") made.classList.add("is-empty");
        return made;
      }

      function odometerWords(reading) {
        if (typeof reading.odometerM === "number") return words.km(reading.odometerM);
        return hidesReading(reading) ? "not shown by the seller" : "";
      }

      function whoCell(reading) {
        const made = cell(words.capital(words.who(reading.role)), "", "Who said it");
        if (reading.source && reading.source !== words.who(reading.role)) made.append(make("span", words.plain(reading.source), "under"));
        return made;
      }

      function remarksCell(reading) {
        const made = cell("", "remarks", "Remarks");
        made.classList.remove("is-empty");
        const tag = (text, name) => made.append(make("span", text, `tag ${name}`));
        const flags = reading.flags ?? [];
        if (isFall(reading)) tag(words.capital(words.flag("rollback")), "bad");
        for (const flag of flags) {
          if (flag === "not_genuine") tag("Not genuine, or not proven to be", "bad");
          else if (flag !== "rollback") tag(words.capital(words.flag(flag)), "odd");
        }
        if (Number.isInteger(reading.corrects)) tag(`Corrects record ${reading.corrects}`, "odd");
        if (corrected.has(reading.seq)) tag(`Corrected by record ${corrected.get(reading.seq)}`, "odd");
        made.append(detailsOf(reading));
        return made;
      }

      function detailsOf(reading) {
        const fields = reading.fields ?? [];
        const details = make("details", "", "record");
        details.append(make("summary", `${words.capital(titleOf(reading))}${gist(fields)}`));
        details.addEventListener("toggle", fill);
        return details;

        function fill() {
          details.removeEventListener("toggle", fill);
          const list = make("dl", "", "fields");
          for (const field of fields) {
            const value = field.hidden ? make("dd", "not shown by the seller", "is-hidden") : make("dd", words.fieldValue(field.name, field.value));
            list.append(make("dt", words.fieldName(field.name)), value);
          }
          details.append(fields.length > 0 ? list : make("p", "Nothing else is shown."));
        }
      }

      function titleOf(reading) {
        const kind = words.kind(reading);
        if (reading.isGenuine === false) return "not shown to be genuine";
        return kind === "odometer" ? "odometer reading" : kind;
      }

      function gist(fields) {
        const telling = ["result", "severity", "outcome", "works", "status", "event", "action", "part", "cause", "state_of_health_permille", "distance_m", "energy_wh"];
        const shown = fields.filter((field) => telling.includes(field.name) && !field.hidden && field.value !== null).slice(0, 2);
        return shown.length === 0 ? "" : `: ${shown.map((field) => words.fieldValue(field.name, field.value)).join(", ").slice(0, 90)}`;
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
      at("checks-words").textContent = `${passed} of ${words.count(found.checks.length, "check", "checks")} held. Open one to read what it means.`;
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
        entry("Ledger", `${checkpoint.origin}, when it held ${words.count(checkpoint.size ?? 0, "entry", "entries")}`, checkpoint.root);
        const witnesses = (checkpoint.witnesses ?? []).map((witness) => (typeof witness === "string" ? witness : witness.name));
        entry("Witnesses that saw it", witnesses.length === 0 ? "none: only the ledger itself vouches for it" : words.list(witnesses));
      }
      if (subject) entry("Key of the vehicle", "Fingerprint of the certificate under which it signs", subject);
      if (report.passportSha256) entry("This passport", "Fingerprint of the file; a printed sheet shows the same", report.passportSha256);
      if (list.childElementCount === 0) entry("Nobody", "No check got far enough to name anybody.");
      at("foot").textContent = "Checked in this browser. Nothing was sent anywhere.";
    }
  }

  function stateOf({ green }, { checks, findings }, hidden) {
    if (isBroken(checks)) return "red";
    if (findings.some((finding) => finding.severity === "red")) return "red";
    return green === true && hidden === 0 ? "green" : "unsure";
  }

  function hidesReading(reading) {
    return (reading.fields ?? []).some((field) => field.name === "odometer_m" && field.hidden);
  }

  function isBroken(checks) {
    return checks.some((check) => isFault(check));
  }

  /** Tell a passport that is not genuine from a genuine one that shows something bad about the vehicle. */
  function isFault(check) {
    return check.passed === false && check.isAboutVehicle !== true;
  }

  function verdictWords(state, checks, findings, hidden) {
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
      const more = serious.length === 1 ? "" : ` And ${words.count(serious.length - 1, "more serious finding", "more serious findings")}, see below.`;
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
        text: "The records are signed, unchanged, in order and held by the ledger, and nothing alarming stands in them.",
      };
    }
    if (hidden > 0 && checks.every((check) => check.passed === true)) {
      return {
        word: "Mileage hidden",
        title: "Every check held, but the seller does not show all readings",
        text: `The records are genuine. ${words.count(hidden, "record hides", "records hide")} the reading of the odometer: ask to see it.`,
      };
    }
    return {
      word: "Not fully checked",
      title: "This browser could not finish the checks",
      text: "Some checks could not be made here. Open the file in a newer browser, and do not rely on it until every check has held.",
    };
  }

  function least(values) {
    return values.reduce((a, b) => Math.min(a, b));
  }

  function most(values) {
    return values.reduce((a, b) => Math.max(a, b));
  }

  function maker(document) {
    const at = (id) => document.getElementById(id);
    const make = (tag, text = "", name = "") => {
      const made = document.createElement(tag);
      if (text !== "") made.textContent = text;
      if (name !== "") made.className = name;
      return made;
    };
    return { make, at };
  }

  return drawReport;
})();
