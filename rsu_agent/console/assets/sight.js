// What part of the plan is in sight: moved and brought nearer with buttons, keys, mouse and, once it is nearer, with a finger. A
// finger on the whole plan moves the page, as everywhere.

const ZOOM_STEP = 1.5;
const NEAREST_M = 15;
const FURTHEST = 4;
const DRAG_FROM_PX = 5;
const SCALE_UP_TO_PX = 110;
const SCALES_M = [500, 200, 100, 50, 20, 10, 5, 2];

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const lookAt = () => {
  const { x, y, half } = plan.box;
  at("plan").setAttribute("viewBox", `${x - half} ${y - half} ${2 * half} ${2 * half}`);
  at("plan").classList.toggle("is-near", half < plan.first);
  at("zoom-in").disabled = half <= NEAREST_M;
  at("zoom-out").disabled = half >= plan.whole.half * FURTHEST;
  showScale();
};

const showScale = () => {
  const perMetre = Math.min(at("plan").clientWidth, at("plan").clientHeight) / (2 * plan.box.half);
  const length = SCALES_M.find((each) => each * perMetre <= SCALE_UP_TO_PX) ?? SCALES_M.at(-1);
  at("scale-bar").style.width = `${length * perMetre}px`;
  say(at("scale-words"), `${length} m`);
};

const zoom = (factor) => {
  plan.box.half = Math.min(Math.max(plan.box.half * factor, NEAREST_M), plan.whole.half * FURTHEST);
  lookAt();
};

const showWhole = () => {
  plan.box = { ...plan.whole };
  lookAt();
};

const moveSight = ([right, down], metresFar) => {
  plan.box.x += right * metresFar;
  plan.box.y += down * metresFar;
  lookAt();
};

// Where on the plan a pointer is, as metres east and north.
const placeOf = (event) => {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(at("plan").getScreenCTM().inverse());
  return [x, -y];
};

const KEYS = {
  "+": () => zoom(1 / ZOOM_STEP),
  "=": () => zoom(1 / ZOOM_STEP),
  "-": () => zoom(ZOOM_STEP),
  0: showWhole,
};

const attendPlan = () => {
  const drawing = at("plan");
  let held = null;
  let isDragged = false;
  drawing.addEventListener("pointerdown", (event) => {
    held = { id: event.pointerId, x: event.clientX, y: event.clientY, box: { ...plan.box } };
    isDragged = false;
  });
  drawing.addEventListener("pointermove", (event) => {
    if (held === null || held.id !== event.pointerId) return;
    if (event.pointerType === "touch" && !drawing.classList.contains("is-near")) return;
    const [right, down] = [event.clientX - held.x, event.clientY - held.y];
    isDragged ||= Math.hypot(right, down) >= DRAG_FROM_PX;
    if (!isDragged) return;
    const scale = 1 / drawing.getScreenCTM().a;
    plan.box.x = held.box.x - right * scale;
    plan.box.y = held.box.y - down * scale;
    lookAt();
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) drawing.addEventListener(end, () => (held = null));
  // Whoever has moved the plan has not pointed at anything.
  drawing.addEventListener("click", (event) => {
    if (isDragged) event.stopPropagation();
    isDragged = false;
  }, { capture: true });
  drawing.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (orders.isPlacing && placeWithKey(event.key)) event.preventDefault();
    else if (Object.hasOwn(MOVES, event.key)) moveSight(MOVES[event.key], plan.box.half / 5);
    else if (Object.hasOwn(KEYS, event.key)) KEYS[event.key]();
    else return;
    event.preventDefault();
  });
  at("zoom-in").addEventListener("click", () => zoom(1 / ZOOM_STEP));
  at("zoom-out").addEventListener("click", () => zoom(ZOOM_STEP));
  at("zoom-whole").addEventListener("click", showWhole);
  new ResizeObserver(() => plan.box !== null && showScale()).observe(drawing);
};
