// The teaching page, where it is about the page as a whole: the key of the last teaching, which a later visit finds again.

window.playgroundTeach = (() => {
  const KEPT = "playground teaching";
  const read = () => {
    try {
      return localStorage.getItem(KEPT) ?? "";
    } catch {
      return ""; // a browser may refuse storage to a page in somebody's frame
    }
  };
  return {
    /** The last teaching, and the job whose pictures it may teach: the last one that was looked at. */
    kept: () => JSON.stringify({ teaching: read(), job: JSON.parse(playgroundMany.kept()).key }),
    keep: (key) => {
      try {
        localStorage.setItem(KEPT, key);
      } catch {
        // as above
      }
      return [];
    },
  };
})();
