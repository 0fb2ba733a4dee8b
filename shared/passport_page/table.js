// The table of records, one by one: what stands out where there are many, all of them on demand. Details are filled in when a
// reader opens them, so that thirty thousand records cost no more than what is looked at.

const drawRecords = (() => {
  const MANY_ROWS = 30;
  const ROWS_AT_ONCE = 250;
  const MAX_GIST_CHARACTERS = 90;
  const TELLING = [
    "result", "severity", "outcome", "works", "status", "event", "action", "part", "cause", "state_of_health_permille",
    "distance_m", "energy_wh",
  ];
  const words = passportWords;

  /** Fill the table: `fallen` holds the numbers of the records at which the odometer falls. */
  function drawRecords(readings, fallen, document) {
    const { make, at } = passportNodes(document);
    const corrected = new Map();
    const bySeq = new Map(readings.map((reading) => [reading.seq, reading]));
    for (const reading of readings) {
      const wrong = Number.isInteger(reading.corrects) ? bySeq.get(reading.corrects) : undefined;
      const mayCorrect = wrong !== undefined && wrong.role === reading.role && wrong.kind === reading.kind;
      if (mayCorrect) corrected.set(reading.corrects, reading.seq);
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
      const isAmended = Number.isInteger(reading.corrects) || corrected.has(reading.seq);
      return !isReading || isAmended || reading.isGenuine === false || isFall(reading) || (reading.flags ?? []).length > 0;
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
      const left = rows.length - until;
      const button = make("button", `Show the next ${words.number(Math.min(ROWS_AT_ONCE, left), 0)} of ${words.number(left, 0)}`);
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
      if (Number.isInteger(reading.datedBy)) date.append(make("span", `dated later, by record ${reading.datedBy}`, "under"));
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
      return words.hidesReading(reading) ? "not shown by the seller" : "";
    }

    function whoCell(reading) {
      const made = cell(words.capital(words.who(reading.role)), "", "Who said it");
      const { source } = reading;
      if (source && source !== words.who(reading.role)) made.append(make("span", words.plain(source), "under"));
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
          const text = field.hidden ? "not shown by the seller" : words.fieldValue(field.name, field.value);
          const value = make("dd", text, field.hidden ? "is-hidden" : "");
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
      const shown = fields.filter((field) => TELLING.includes(field.name) && !field.hidden && field.value !== null).slice(0, 2);
      const text = shown.map((field) => words.fieldValue(field.name, field.value)).join(", ");
      return text === "" ? "" : `: ${text.slice(0, MAX_GIST_CHARACTERS)}`;
    }
  }

  return drawRecords;
})();
