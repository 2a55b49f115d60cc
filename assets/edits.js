// What a person has changed of an answer, with a way back and forth. The server is told after each step, and knows what
// this page knew at some version; what has been changed since is laid over what the server says.

const LEFT = "playground edits"; // what a page that was left had not told, for the one that is loaded in its place

/**
 * `report(edits, boxes, isOver)` keeps them for the next event that Python reads, and tells Python of them; `isGoingOn()`
 * as it is.
 */
function createEdits({ report, isGoingOn }) {
  const MOST_STEPS = 500;
  const MOST_LATE = 3;
  const FRESH = { color: "#ffffff", ink: "black" };
  const SKETCH = -1; // the id of a box that is being drawn

  let answer = ""; // whose changes these are
  let listed = []; // boxes, as Python says that they are
  let first = new Map(); // boxes by id, as they were when they came
  let told = new Map(); // changes by id that are in `listed`
  let sent = new Map(); // changes by version
  let changes = new Map(); // a box by its id, null where it is gone
  let [version, nextId] = [0, 0];
  let count = 0; // of the regions that the model found
  let [past, future] = [[], []];
  let isUnfinished = false; // changed since the server has drawn the picture
  let lastLabel = "";
  let known = 0; // the version that Python has said to know
  let offered = null; // the labels that are there to choose from, as Python has said last
  let late = []; // corrections of answers that have gone before Python knew them
  let isLate = false; // there is one that Python was not told of
  let finds = new Map(); // what the model says of boxes, by id, while it says it

  function take(given, boxes) {
    [listed, finds] = [boxes, new Map()];
    if (given?.answer !== answer || given?.version > version) {  // or another page has corrected it
      if (version > known) [late, isLate] = [[...late, wire()].slice(-MOST_LATE), true];
      begin(given, boxes);
      takeUp(boxes);
    }
    known = given?.version ?? known;
    offered = given?.offered ?? offered;
    for (const box of boxes) if (!first.has(box.id)) first.set(box.id, box);
    if (!given) return;
    told = sent.get(given.version) ?? told;
    for (const box of boxes) refresh(box);
    sent = new Map([...sent].filter(([number]) => number >= given.version));
  }

  /** The server gives its label a color; a gesture that goes on has a copy of the changes. */
  function refresh(box) {
    const before = told.get(box.id);
    if (!before) return;
    told.set(box.id, box);
    if (changes.get(box.id) === before) changes.set(box.id, box);
  }

  function begin(given, boxes) {
    [answer, version, known, count] = [given?.answer, given?.version ?? 0, given?.version ?? 0, given?.count ?? 0];
    [changes, offered] = [changesOf(given?.changes ?? [], boxes), null];
    [first, told, sent, past, future, isUnfinished] = [new Map(), changes, new Map([[version, changes]]), [], [], false];
    nextId = Math.max(count, ...[...changes.keys()].map((id) => id + 1));
  }

  const changesOf = (wire, boxes) => {
    const byId = new Map(boxes.map((box) => [box.id, box]));
    return new Map(wire.map(({ gone, ...change }) =>
      [change.id, gone ? null : { score_text: "", area: 0, ...FRESH, ...byId.get(change.id), ...change }]));
  };

  /** Leave to the page that is loaded next, in the same tab of the browser, what Python may not have heard of. */
  function leave() {
    try {
      if (answer && version > known) sessionStorage.setItem(LEFT, JSON.stringify(wire()));
    } catch {
      // a browser may refuse storage, or have no room
    }
  }

  function takeUp(boxes) {
    let left = null;
    try {
      left = JSON.parse(sessionStorage.getItem(LEFT));
    } catch {
      // as above
    }
    if (!answer || left?.answer !== answer) return;
    sessionStorage.removeItem(LEFT);
    if (left.version <= version) return;
    [changes, version] = [changesOf(left.changes, boxes), left.version];
    sent.set(version, changes);
    nextId = Math.max(nextId, ...[...changes.keys()].map((id) => id + 1));
    setTimeout(() => report(wire(), edited(), true));
  }

  /** What is on the stage: what the server has not heard of lies over what it said. */
  const boxes = () => (finds.size ? edited().map((box) => ({ ...box, ...finds.get(box.id) })) : edited());

  function edited() {
    const news = [...new Set([...changes.keys(), ...told.keys()])].filter((id) => changes.get(id) !== told.get(id));
    if (!news.length) return listed;
    const since = news.map((id) => (changes.has(id) ? changes.get(id) : first.get(id))).filter(Boolean);
    return [...listed.filter(({ id }) => !news.includes(id)), ...since].sort((a, b) => a.id - b.id);
  }

  const wire = () => ({
    answer,
    version,
    is_going_on: isGoingOn(),
    offered,
    changes: [...changes].filter(([id]) => id !== SKETCH).map(([id, box]) => box ? {
      id, label: box.label, xyxy: box.xyxy, quad: box.quad ?? null, polygons: box.polygons ?? [], text: box.text ?? "",
      source: box.source ?? "model", cover: box.cover ?? "",
    } : { id, gone: true }),
  });

  const put = (box) => (changes = new Map([...changes, [box.id, { ...box, source: box.id < count ? "edited" : "added" }]]));

  function drop(id) {
    changes = new Map([...changes, [id, null]]);
  }

  /** Hide boxes in the picture, or show them again with "": they stay who drew them. */
  function cover(some, how) {
    changes = new Map([...changes, ...some.map((box) => [box.id, { ...box, cover: how }])]);
  }

  function tell() {
    version += 1;
    sent.set(version, changes);
    isUnfinished = true;
    report(wire(), boxes());
  }

  function commit(before) {
    if (changes === before) return;
    past = [...past, before].slice(-MOST_STEPS);
    future = [];
    tell();
  }

  /** Show what the model says of boxes, or take it in as one step. A person's own label and shape stay marked as such. */
  function find(found) {
    finds = new Map((found?.answer === answer ? found.changes : []).map(({ id, ...fields }) => [id, lookFound(fields)]));
    if (!found?.is_final) return;
    const before = changes;
    const news = edited().map((box) => [box, { ...box, ...finds.get(box.id) }])
      .filter((pair) => JSON.stringify(pair[0]) !== JSON.stringify(pair[1])); // Gradio brings the last word twice
    finds = new Map();
    if (news.length) changes = new Map([...changes, ...news.map(([, box]) => [box.id, box])]);
    commit(before);
  }

  function lookFound(fields) {
    if (fields.label) return { ...fields, ...lookOf(fields.label) };
    return fields.polygons ? { ...fields, quad: null, area: fields.polygons.map(insideOf).reduce((a, b) => a + b) } : fields;
  }

  function go(from, to) {
    if (!from.length) return false;
    to.push(changes);
    changes = from.pop();
    tell();
    return true;
  }

  function add(xyxy) {
    const box = { id: nextId, score_text: "", area: 0, ...lookOf(lastLabel), label: lastLabel, xyxy };
    nextId += 1;
    put(withOutlines(box, outlinesOf(box)));
    return box;
  }

  /** How a label looks where it is in use. */
  function lookOf(label) {
    lastLabel = label;
    const { color, ink } = [...boxes(), ...first.values()].find((box) => box.label === label) ?? FRESH;
    return { color, ink };
  }

  return {
    take, boxes, wire, put, drop, cover, add, commit, find, lookOf,
    now: () => changes,
    back: (before) => (changes = before),
    sketch: (xyxy) => put({ id: SKETCH, label: "", score_text: "", area: 0, ...FRESH, xyxy }),
    undo: () => go(past, future),
    redo: () => go(future, past),
    canUndo: () => past.length > 0,
    canRedo: () => future.length > 0,
    labels: () => [...new Set([...boxes(), ...first.values()].map(({ label }) => label).filter(Boolean))],
    isOf: () => answer,
    isStale: () => changes !== told,
    late: () => late,
    leave,
    tellLate: () => isLate && !(isLate = false),
    end: () => isUnfinished && (isUnfinished = false, report(wire(), boxes(), true)),
  };
}
