// The page of many pictures, where it is about the page as a whole: the keys of its jobs, and what keys of a keyboard do.

window.playgroundMany = (() => {
  const KEPT = "playground jobs"; // by the beginning of each key, which the address shows; the rest no address has
  const MOST = 16;
  const idOf = (key) => key.slice(0, 8);
  // A browser may refuse storage to a page in somebody's frame: then nothing is kept.
  const jobs = () => {
    try {
      return Object.entries(JSON.parse(localStorage.getItem(KEPT) ?? "{}"));
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
  const addressOf = (key) => `${location.pathname}${location.search}#${idOf(key)}`; // whatever the page's base is

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

  return {
    /** The job that the address names, or else the last one. */
    kept: () => {
      const [, key = ""] = jobs().find(([id]) => id === location.hash.slice(1)) ?? jobs().at(-1) ?? [];
      return JSON.stringify({ key });
    },
    opened: (key) => {
      if (key) history.replaceState(null, "", addressOf(key));
      return [];
    },
    keep: (key) => {
      if (!key || location.hash.slice(1) === idOf(key)) return [];
      write([...jobs().filter(([id]) => id !== idOf(key)), [idOf(key), key]]);
      history.pushState(null, "", addressOf(key));
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
