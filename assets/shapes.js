// Geometry of boxes, quads and outlines in pixels of the picture. A box here is one of Python's `BoxData`; nothing is
// changed in place. Whoever needs it follows in the same script.

const tenth = (pixels) => Math.round(pixels * 10) / 10;
const within = (number, low, high) => Math.min(Math.max(number, low), high);
const hasPoints = ({ quad, polygons }) => Boolean(quad || polygons?.length);

function outlinesOf({ xyxy: [x0, y0, x1, y1], quad, polygons }) {
  if (polygons?.length) return polygons;
  if (quad) return [[0, 2, 4, 6].map((i) => [quad[i], quad[i + 1]])];
  return [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]];
}

const pathOf = (box) => outlinesOf(box).map((points) => `M${points.join("L")}Z`).join("");

function boundsOf(outlines) {
  const points = outlines.flat();
  const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
  return [xs, ys].map((numbers) => numbers.reduce((a, b) => Math.min(a, b)))
    .concat([xs, ys].map((numbers) => numbers.reduce((a, b) => Math.max(a, b))));
}

const insideOf = (points) => Math.abs(points.reduce((sum, [x, y], i) => {
  const [nextX, nextY] = points[(i + 1) % points.length];
  return sum + x * nextY - nextX * y;
}, 0)) / 2;

/** The box with other outlines, of the same kind. */
function withOutlines(box, given) {
  const outlines = given.map((points) => points.map((point) => point.map(tenth)));
  const next = { ...box, xyxy: boundsOf(outlines), area: outlines.map(insideOf).reduce((a, b) => a + b) };
  if (box.polygons?.length) next.polygons = outlines;
  else if (box.quad) next.quad = outlines[0].flat();
  return next;
}

/** Moved as far as the picture goes. */
function moved(box, dx, dy, [w, h]) {
  const outlines = outlinesOf(box);
  const [x0, y0, x1, y1] = boundsOf(outlines);
  const [mx, my] = [within(dx, -x0, w - x1), within(dy, -y0, h - y1)];
  return withOutlines(box, outlines.map((points) => points.map(([x, y]) => [x + mx, y + my])));
}

/** Made larger or smaller at its right and its lower side. */
function resized(box, dx, dy, [w, h]) {
  const outlines = outlinesOf(box);
  const [x0, y0, x1, y1] = boundsOf(outlines);
  const [width, height] = [x1 - x0, y1 - y0];
  const scale = (side, room, by) => (side > 0 ? within(side + by, Math.min(1, room), room) / side : 1);
  const [sx, sy] = [scale(width, w - x0, dx), scale(height, h - y0, dy)];
  return withOutlines(box, outlines.map((points) => points.map(([x, y]) => [x0 + (x - x0) * sx, y0 + (y - y0) * sy])));
}

/** What of it can be dragged: its corners and sides, or each point of a quad and of an outline. */
function handlesOf(box) {
  if (hasPoints(box)) return outlinesOf(box).flatMap((points, part) => points.map(([x, y], point) => ({ x, y, part, point })));
  const [x0, y0, x1, y1] = box.xyxy;
  const [mx, my] = [(x0 + x1) / 2, (y0 + y1) / 2];
  return [[x0, y0, "nw"], [mx, y0, "n"], [x1, y0, "ne"], [x1, my, "e"], [x1, y1, "se"], [mx, y1, "s"], [x0, y1, "sw"], [x0, my, "w"]]
    .map(([x, y, side]) => ({ x, y, side }));
}

/** With a handle of it somewhere else, within the picture. */
function dragged(box, { side, part, point }, dx, dy, [w, h]) {
  if (!side) {
    const outlines = outlinesOf(box).map((points) => [...points]);
    const [x, y] = outlines[part][point];
    outlines[part][point] = [within(x + dx, 0, w), within(y + dy, 0, h)];
    return withOutlines(box, outlines);
  }
  const [x0, y0, x1, y1] = box.xyxy;
  const sorted = (...numbers) => numbers.sort((a, b) => a - b);
  const shift = (low, high, names, by, extent) =>
    sorted(within(low + (side.includes(names[0]) ? by : 0), 0, extent), within(high + (side.includes(names[1]) ? by : 0), 0, extent));
  const [[left, right], [top, bottom]] = [shift(x0, x1, "we", dx, w), shift(y0, y1, "ns", dy, h)];
  return withOutlines({ ...box, xyxy: [left, top, right, bottom] }, outlinesOf({ xyxy: [left, top, right, bottom] }));
}

function withPoint(box, { part, after, x, y }) {
  return withOutlines(box, outlinesOf(box).map((points, i) => (i === part ? points.toSpliced(after + 1, 0, [x, y]) : points)));
}

/** Null where an outline would have too few points. */
function withoutPoint(box, { part, point }) {
  const outlines = outlinesOf(box);
  if (!box.polygons?.length || outlines[part].length < 4) return null;
  return withOutlines(box, outlines.map((points, i) => (i === part ? points.toSpliced(point, 1) : points)));
}

/** The place on an edge of an outline that is nearest to a point, if that is near enough. */
function edgeNear(box, [px, py], distance) {
  let best = null;
  if (!box.polygons?.length) return best;
  outlinesOf(box).forEach((points, part) => points.forEach(([x0, y0], after) => {
    const [x1, y1] = points[(after + 1) % points.length];
    const length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
    const at = length ? within(((px - x0) * (x1 - x0) + (py - y0) * (y1 - y0)) / length, 0, 1) : 0;
    const [x, y] = [x0 + at * (x1 - x0), y0 + at * (y1 - y0)];
    const apart = Math.hypot(px - x, py - y);
    if (apart <= (best?.apart ?? distance)) best = { part, after, x, y, apart };
  }));
  return best;
}

function contains(box, [x, y]) {
  let isInside = false;
  for (const points of outlinesOf(box)) {
    points.forEach(([x1, y1], i) => {
      const [x0, y0] = points.at(i - 1);
      if (y0 > y !== y1 > y && x < ((x0 - x1) * (y - y1)) / (y0 - y1) + x1) isInside = !isInside;
    });
  }
  return isInside;
}
