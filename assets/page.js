// Gradio calls this once, when the page has loaded. Event listeners name the functions of `playground`; Gradio calls
// them after the server's answer and passes no event, so they find their elements by id.
() => {
  const find = (selector) => document.querySelector(selector);

  // ---- pictures that are on their way: uploads, and whatever the server has not shown yet

  const SECONDS_TO_BE_TAKEN = 5; // after its upload
  const SECONDS_TO_BE_HEARD = 3;
  const uploads = new Set(); // since a file began to be sent, until the server is asked to show it
  let takes = 0; // which the server was asked for, and has not shown
  let gestures = 0; // all that it was asked for: of two pictures the later one stays
  let isRefused = false; // the last one
  let isWaiting = false; // Run was pressed meanwhile
  let tellRun = () => {};
  const isTaking = () => takes > 0 || uploads.size > 0;
  const look = () => isTaking() || tellRun();

  // What the page sends says that it does: behind a proxy a server knows neither its own name nor its page's.
  const plainFetch = window.fetch;
  const sent = new Set(); // what is not answered yet, of what is no run
  const send = (request, options) => {
    if (options?.method !== "POST") return plainFetch(request, options);
    const headers = new Headers(options.headers);
    headers.set("X-Gradio-User", "app");
    const answer = plainFetch(request, { ...options, headers });
    if (!/\/run\/predict(\?|$)/.test(String(request?.url ?? request))) return answer;
    sent.add(answer);
    const end = () => sent.delete(answer);
    answer.then(end, end);
    return answer;
  };
  const inWords = async (response) => {
    const { detail } = await response.clone().json().catch(() => ({}));
    return detail ? new Response(detail, response) : response;
  };

  // Gradio says nothing of an upload before it is done, and nothing at all of one that failed.
  window.fetch = async (...request) => {
    if (!/\/upload(\?|$)/.test(String(request[0]?.url ?? request[0]))) return send(...request);
    const upload = {};
    uploads.add(upload);
    let isSent = false;
    try {
      const response = await send(...request);
      isSent = response.ok;
      return isSent ? response : inWords(response);
    } finally {
      isRefused = !isSent;
      const end = () => uploads.delete(upload) && look();
      if (isSent) setTimeout(end, 1000 * SECONDS_TO_BE_TAKEN);
      else end();
    }
  };

  // ---- the links to more pages, which are open for a click or Escape

  const closeLinks = () => find("#title .more[open]")?.removeAttribute("open");
  document.addEventListener("click", ({ target }) => target.closest("#title .more summary") || closeLinks());
  document.addEventListener("keydown", ({ key, target }) => {
    if (key !== "Escape" || !target.closest("#title .more[open]")) return;
    closeLinks();
    find("#title .more summary").focus();
  });
  // Gradio opens its panel of the API by its own button alone.
  const openApi = () => {
    if (location.hash !== "#api") return;
    history.replaceState(null, "", location.pathname + location.search);
    find("footer .show-api")?.click();
  };
  addEventListener("hashchange", openApi);
  openApi();

  // ---- what a reload brings back: the browser's part is the form, and the key to what the server keeps of this tab

  const KEPT = ["playground", window.gradio_config.current_page].filter(Boolean).join(" "); // each page for itself
  const LOOKS = "playground looks"; // how answers are to be seen: the same in every tab, and after all are closed
  // A browser may refuse storage to a page in somebody's frame: then nothing is kept.
  const readKept = (storage, name) => {
    try {
      return window[storage].getItem(name) ?? "";
    } catch {
      return "";
    }
  };
  const writeKept = (storage, name, content) => {
    try {
      window[storage].setItem(name, content);
    } catch {
      // as above
    }
  };
  const kept = (name = KEPT) => JSON.parse(readKept("sessionStorage", name) || "{}");
  const keep = (changes) => writeKept("sessionStorage", KEPT, JSON.stringify({ ...kept(), ...changes }));
  const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

  // ---- a server that does not answer, or that was started again and knows nothing of this page

  const SECONDS_BETWEEN_LOOKS = 3;
  const SECONDS_TO_ANSWER = 8; // a busy machine may take its time
  const SILENT = "The playground does not answer any more. What you see stays; it is tried again every few seconds.";
  const RESTARTED = "The playground was started again and has forgotten this page. Save what you want to keep, then ";

  const alarm = document.body.appendChild(document.createElement("p"));
  Object.assign(alarm, { id: "connection", hidden: true });
  alarm.setAttribute("role", "alert");
  const reload = Object.assign(document.createElement("button"), { textContent: "reload the page" });
  reload.addEventListener("click", () => location.reload());

  const tell = (...parts) => {
    if (alarm.textContent === parts.map((part) => part.textContent ?? part).join("")) return;
    alarm.replaceChildren(...parts);
    alarm.hidden = !parts.length;
  };
  const { root, api_prefix: prefix, app_id: ours } = window.gradio_config;
  const lookForServer = async () => {
    if (document.hidden) return;
    try {
      const signal = AbortSignal.timeout(1000 * SECONDS_TO_ANSWER);
      const { app_id: theirs } = await (await send(`${root}${prefix}/app_id`, { signal, cache: "no-store" })).json();
      tell(...(theirs === ours ? [] : [RESTARTED, reload]));
    } catch {
      tell(SILENT);
    }
  };
  const lookAgain = () => setTimeout(() => lookForServer().finally(lookAgain), 1000 * SECONDS_BETWEEN_LOOKS);
  lookAgain();

  const ownTasks = new CSSStyleSheet();
  document.adoptedStyleSheets.push(ownTasks);

  // What a link asked is on the page now: a reload brings back what became of it.
  const forgetLink = () => {
    const address = new URL(location.href);
    const names = [...address.searchParams.keys()].filter((name) => !name.startsWith("__") && name !== "view");
    names.forEach((name) => address.searchParams.delete(name));
    if (names.length) history.replaceState(history.state, "", address);
  };

  window.playground = {
    remembered: () => {
      const { before = "", task = "", phrase = "", form = "" } = kept();
      const link = new URLSearchParams(location.search).has("task") ? location.search : "";
      const { before: first = "" } = kept("playground");
      return [JSON.stringify({ before, key, task, phrase, form, link, first }), "", readKept("localStorage", LOOKS)];
    },
    opened: (asks) => {
      keep({ before: key });
      forgetLink();
      if (asks && !gestures && !isTaking()) find("#run").click();
      return [];
    },
    remember: (task, phrase) => {
      keep({ task, phrase });
      const form = find("#columns"); // a part of it may be made later
      form.dataset.phrase = phrase;
      form.dispatchEvent(new CustomEvent("phrase", { detail: phrase }));
      return [];
    },

    rememberForm: (names, values) => {
      keep({ form: JSON.stringify(Object.fromEntries(names.map((name, index) => [name, values[index]]))) });
      return [];
    },

    // The heading over the tasks of a checkpoint's own, in a rule that the server has quoted.
    headTasks: (listed) => {
      ownTasks.replaceSync(JSON.parse(listed).rule);
      return [];
    },

    keepLooks: (looks) => {
      writeKept("localStorage", LOOKS, looks);
      return [];
    },

    taking: (_, ...values) => {
      uploads.delete([...uploads][0]);
      takes += 1;
      gestures += 1;
      return [gestures, ...values];
    },
    taken: () => {
      takes -= 1;
      isRefused = Boolean(find("#problem .line"));
      look();
    },
    sayIfTaking: () => {
      const lines = [{ text: "Waiting for the picture…", tone: "busy" }];
      return isTaking() ? { lines } : { __type__: "update" };
    },
    // A choice that was made before Run was pressed would end the run if the server heard of it later.
    whenTaken: async () => {
      await Promise.race([Promise.allSettled(sent), new Promise((go) => setTimeout(go, 1000 * SECONDS_TO_BE_HEARD))]);
      if (!isTaking()) return [];
      if (isWaiting) await new Promise(() => {}); // the first press is answered, and this one never
      isWaiting = true;
      await new Promise((go) => (tellRun = go));
      isWaiting = false;
      if (isRefused) throw new Error("There is no new picture to ask about.");
      return [];
    },

    // A download needs its file before the click: the Save button makes the file, then this clicks the hidden button.
    download: () => find("#file").click(),
  };
};
