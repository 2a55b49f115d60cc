// What the buttons under "Copy" put on the clipboard. A browser lets a page write there only while it handles a click, so
// the writing begins at once and waits for its content. Of several that wait, the one that was pressed last is written.
{
  const SAID = {
    link: "The link is copied.",
    table: "The table is copied; a spreadsheet takes it.",
    picture: "The picture is copied.",
    python: "The program is copied.",
    curl: "The commands are copied.",
    mcp: "The call is copied.",
  };
  const AS_IT_IS = { __type__: "update" };
  const ADDRESS = "http://ADDRESS"; // as in playground/ui/snippets.py
  let under = { kind: "", give: () => {}, drop: () => {}, written: Promise.resolve() };

  const here = () => `${location.origin}${location.pathname}`;
  const textOf = (kind, copied) =>
    kind === "link" ? `${here()}?${copied}` : copied.replaceAll(ADDRESS, here().replace(/\/$/, ""));

  /** The way of old browsers, and of pages that were not sent over a safe connection. */
  const writeByHand = async (content) => {
    const text = await (await content).text();
    const field = document.body.appendChild(Object.assign(document.createElement("textarea"), { value: text }));
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    if (!isDone) throw new Error("refused");
  };

  const write = (kind, content) => {
    const type = kind === "picture" ? "image/png" : "text/plain";
    const canWrite = navigator.clipboard?.write && window.ClipboardItem;
    if (canWrite) return navigator.clipboard.write([new ClipboardItem({ [type]: content })]);
    return kind === "picture" ? Promise.reject(new Error("no pictures here")) : writeByHand(content);
  };

  const line = (text, tone) => ({ lines: [{ text, tone }] });

  window.copying = {
    begin: (kind) => (_, ...values) => {
      under.drop(new Error("another was pressed"));
      under = { kind };
      const content = new Promise((give, drop) => Object.assign(under, { give, drop }));
      under.written = write(kind, content);
      for (const told of [content, under.written]) told.catch(() => {}); // at the end
      return [kind, ...values];
    },
    end: (kind) => async (copied, file) => {
      if (under.kind !== kind) return AS_IT_IS;
      const pressed = under;
      try {
        const isPicture = kind === "picture";
        pressed.give(isPicture ? await (await fetch(file.url)).blob() : new Blob([textOf(kind, copied)], { type: "text/plain" }));
        await pressed.written;
        const isOwn = kind === "link" && !/[?&](seed|example)=/.test(`&${copied}`);
        return line(SAID[kind] + (isOwn ? " It holds the question, and not your picture." : ""), "good");
      } catch {
        if (pressed !== under) return AS_IT_IS;
        const instead = kind === "picture" ? "Save it instead." : "Allow it for this page, and try again.";
        return line(`The browser did not let the page copy. ${instead}`, "warning");
      }
    },
    fail: (kind) => () => {
      if (under.kind !== kind) return AS_IT_IS;
      under.drop(new Error("nothing to copy"));
      return line("", "plain");
    },
  };
}
