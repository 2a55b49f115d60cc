// The page of many pictures, where it is about the page as a whole: the keys of its jobs, and what keys of a keyboard do.

window.playgroundMany = (() => {
  const KEPT = "playground jobs"; // by the beginning of each key, which the address shows; the rest no address has
  const MOST = 64;
  const ID = /^[\w-]{8}$/;
  const idOf = (key) => key.slice(0, 8);
  const here = () => location.hash.slice(1);
  const read = (text) => {
    try {
      return Object.entries(JSON.parse(text ?? "{}"));
    } catch {
      return [];
    }
  };
  // A browser may refuse storage to a page in somebody's frame: then nothing is kept.
  const jobs = () => {
    try {
      return read(localStorage.getItem(KEPT));
    } catch {
      return [];
    }
  };
  const write = (entries) => {
    try {
      localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(entries.slice(-MOST))));
    } catch {
      // as above
    }
  };
  const find = (selector) => document.querySelector(selector);
  const page = () => `${location.pathname}${location.search}`; // whatever the page's base is
  const addressOf = (key) => `${page()}#${idOf(key)}`;
  /** What the server is told of: the job that the address names, or else the last one, and all, the last one first. */
  const kept = () => {
    const all = jobs();
    const unknown = ID.test(here()) ? [here(), here()] : all.at(-1); // the server says that there is no such job
    const [, key = ""] = all.find(([id]) => id === here()) ?? unknown ?? [];
    return JSON.stringify({ key, keys: all.map(([, one]) => one).reverse() });
  };

  // ---- approve, skip, and go from picture to picture by key

  const KEYS = { a: "#approve", s: "#skip", ArrowRight: "#next", ArrowLeft: "#previous", Escape: "#close" };

  document.addEventListener("keydown", (event) => {
    const button = find(KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key]);
    const isElsewhere = event.target.closest?.("input, textarea, select, [contenteditable], .stage-frame, [role=listbox]");
    if (!button?.checkVisibility() || isElsewhere || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    button.click();
  });
  // What was asked for before, such as the next picture, may be answered after it: closed is closed.
  document.addEventListener("click", ({ target }) => target.closest?.("#close") && find("#many").classList.add("is-closed"));
  addEventListener("popstate", () => find("#many") && location.reload()); // back to the job before
  // Another tab may have paused it, asked something else or corrected a picture, while nobody looked at this one.
  for (const event of ["focus", "visibilitychange"])
    addEventListener(event, () => document.visibilityState === "visible" && find("#come-back")?.click());
  // The job of this page was deleted in another tab: loaded anew, the page says so.
  addEventListener("storage", ({ key, oldValue, newValue }) => {
    const has = (text) => read(text).some(([id]) => id === here());
    if (key === KEPT && find("#many") && has(oldValue) && !has(newValue)) location.reload();
  });

  return {
    kept,
    opened: (key) => {
      if (key) history.replaceState(null, "", addressOf(key));
      return [];
    },
    keep: (_memory, key) => {
      if (key && here() !== idOf(key)) {
        write([...jobs().filter(([id]) => id !== idOf(key)), [idOf(key), key]]);
        history.pushState(null, "", addressOf(key));
      }
      return [kept(), key];
    },
    /** The job that the address names was deleted. */
    forget: (_memory, key) => {
      write(jobs().filter(([id]) => id !== here()));
      history.replaceState(null, "", page());
      find(".many-files-says").textContent = "";
      find(".many-files button").focus();
      return [kept(), key];
    },
    go: (id) => {
      if (id && id !== here()) {
        history.pushState(null, "", addressOf(id));
        location.reload();
      }
      return [];
    },
    focus: (selector) => {
      requestAnimationFrame(() => find(selector)?.focus());
      return [];
    },
    /** A picture was opened, or another one: it is to be seen, and the keys are for it. */
    review: () => {
      find("#many").classList.remove("is-closed");
      requestAnimationFrame(() => {
        const { top } = find("#review")?.getBoundingClientRect() ?? { top: 0 };
        if (top < 0 || top > innerHeight / 3) find("#review")?.scrollIntoView({ block: "start" });
        if (!document.activeElement?.closest("#review")) find("#approve")?.focus({ preventScroll: true });
      });
      return [];
    },
    closed: () => {
      find(".many-tiles [aria-current=true]")?.focus();
      return [];
    },
    download: () => find("#file").click(),
  };
})();
