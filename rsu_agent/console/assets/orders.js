// What an operator may order from the page: place a hazard, take one back, deny one that others tell of. Only where the unit takes
// orders, and only with the operator's token, which is kept in this page and nowhere else and goes with each order.

const CAUSES = {
  roadworks: "Roadworks", accident: "Accident", stationary_vehicle: "Stationary vehicle", vehicle_breakdown: "Broken-down vehicle",
  hazardous_location_obstacle_on_the_road: "Obstacle on the road", human_presence_on_the_road: "People on the road",
  hazardous_location_animal_on_the_road: "Animal on the road", wrong_way_driving: "Wrong-way driver", impassability: "Road impassable",
  adverse_weather_condition_adhesion: "Slippery road", dangerous_end_of_queue: "End of a queue",
  rescue_and_recovery_work_in_progress: "Rescue work",
};
const LASTING = { 600: "10 minutes", 3600: "1 hour", 14400: "4 hours", 86400: "1 day" };
const AREA_M = { 200: "200 m around", 500: "500 m around", 1000: "1 km around" };

const orders = { place: null, isPlacing: false, token: null, cause: null, lasts: null, area: null, where: null, answer: null };

const labelled = (words, field) => {
  const label = make("label", "", words);
  label.append(field);
  return label;
};

const select = (choices) => {
  const field = make("select");
  for (const [value, words] of Object.entries(choices)) {
    const option = make("option", "", words);
    option.value = value;
    field.append(option);
  }
  return field;
};

const attendOrders = () => {
  const form = at("orders");
  orders.token = make("input");
  orders.token.type = "password";
  orders.token.autocomplete = "off";
  orders.token.required = true;
  orders.cause = select(CAUSES);
  orders.lasts = select(LASTING);
  orders.area = select(AREA_M);
  orders.where = make("button", "", "Choose the place on the plan");
  orders.where.type = "button";
  orders.where.setAttribute("aria-pressed", "false");
  orders.where.addEventListener("click", () => beginPlacing(!orders.isPlacing));
  const middle = make("button", "", "In the middle of the junction");
  middle.type = "button";
  middle.addEventListener("click", () => putHazard([0, 0]));
  const send = make("button", "strong-button", "Warn of it");
  orders.answer = at("answer");
  form.append(
    labelled("Operator’s token", orders.token),
    labelled("What is there", orders.cause),
    labelled("For how long", orders.lasts),
    labelled("Whom it is told", orders.area),
    orders.where, middle, send,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    placeHazard();
  });
  at("plan").addEventListener("click", (event) => {
    if (orders.isPlacing) putHazard(placeOf(event));
  });
};

const offerOrders = () => {
  at("ordering").hidden = unit.orders === null;
};

const beginPlacing = (isPlacing) => {
  orders.isPlacing = isPlacing;
  orders.where.setAttribute("aria-pressed", String(isPlacing));
  at("plan").classList.toggle("is-placing", isPlacing);
  if (!isPlacing) return;
  at("plan").focus();
  say(orders.answer, "Point at the place on the plan, or move the cross there with the arrow keys and press Enter.");
};

// Moves the cross from the middle of what is in sight; true for a key that means something here.
const placeWithKey = (key) => {
  if (key === "Enter" || key === "Escape") {
    beginPlacing(false);
    orders.where.focus();
    return true;
  }
  if (!Object.hasOwn(MOVES, key)) return false;
  const [east, north] = orders.place ?? [plan.box.x, -plan.box.y];
  const step = plan.box.half / 25;
  moveCross([east + MOVES[key][0] * step, north - MOVES[key][1] * step]);
  return true;
};

const putHazard = (place) => {
  beginPlacing(false);
  moveCross(place);
};

const moveCross = ([east, north]) => {
  orders.place = [east, north];
  const sign = at("placed");
  sign.setAttribute("transform", `translate(${east} ${-north})`);
  sign.setAttribute("visibility", "visible");
  const side = (value, plus, minus) => `${Math.abs(Math.round(value))} m ${value < 0 ? minus : plus}`;
  say(orders.answer, `Place: ${side(east, "east", "west")}, ${side(north, "north", "south")} of the middle.`);
};

// The unit says where its middle is and how long a degree is there, so nothing is computed twice.
const degreesOf = ([east, north]) => ({
  lat_deg: unit.orders.middle_deg[0] + north / unit.orders.metres_per_degree[0],
  lon_deg: unit.orders.middle_deg[1] + east / unit.orders.metres_per_degree[1],
});

const placeHazard = async () => {
  if (orders.place === null) {
    say(orders.answer, "Choose a place first.");
    return;
  }
  const radius = Number(orders.area.value);
  const hazard = { cause: orders.cause.value, ...degreesOf(orders.place), relevance_distance_m: radius, radius_m: radius,
    relevance_traffic_direction: "all" };
  const done = await order({ order: "place_hazard", lasts_s: Number(orders.lasts.value), hazard });
  if (!done) return;
  orders.place = null;
  at("placed").setAttribute("visibility", "hidden");
};

// Gives an order and says what came of it; true when it was carried out.
const order = async (wanted) => {
  say(orders.answer, "Asking the unit.");
  try {
    const answer = await fetch(unit.orders.path, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${orders.token.value.trim()}` },
      body: JSON.stringify(wanted),
      credentials: "omit",
      redirect: "error",
    });
    const told = await answer.json();
    say(orders.answer, answer.ok ? "Done." : `Refused: ${told.refused}`);
    return answer.ok;
  } catch {
    say(orders.answer, "The unit did not answer.");
    return false;
  }
};

// What may be ordered of a hazard in the list: one of the operator's is taken back, one of others' is denied.
const offerFor = (button, hazard) => {
  const mine = hazard.is_own && hazard.id !== null;
  button.hidden = unit.orders === null || (hazard.is_own && !mine);
  button.type = "button";
  say(button, hazard.is_own ? "Take back" : "Say that it is not there");
  button.onclick = () =>
    order(
      hazard.is_own
        ? { order: "withdraw_hazard", id: hazard.id, source: hazard.source }
        : { order: "negate", station_id: hazard.station_id, sequence_number: hazard.sequence_number },
    );
};
