// The teaching page, where it is about the page as a whole: the keys of teachings, which a later visit finds again.

window.playgroundTeach = (() => {
  const KEPT = "playground teaching";
  const MOST = 16; // as the server keeps
  let own = null; // where a browser refuses storage to a page in somebody's frame
  const read = (storage) => {
    try {
      return storage().getItem(KEPT);
    } catch {
      return null;
    }
  };
  const write = (storage, value) => {
    try {
      storage().setItem(KEPT, value);
    } catch {
      // as above
    }
  };
  const [ofTab, ofBrowser] = [() => sessionStorage, () => localStorage];
  const all = () => (read(ofBrowser) ?? "").split(" ").filter(Boolean); // those of all tabs, the last one begun at the end
  const shown = () => own ?? read(ofTab) ?? all().at(-1) ?? "";
  return {
    /** The teaching of this tab, or else the last one of any; and the job whose pictures it may teach. */
    kept: () => JSON.stringify({ teaching: shown(), job: JSON.parse(playgroundMany.kept()).key }),
    keep: (key) => {
      const others = all().filter((one) => one !== shown() && one !== key);
      write(ofBrowser, [...others, key].join(" ").trim().split(" ").slice(-MOST).join(" "));
      write(ofTab, (own = key));
      return [];
    },
  };
})();
