// Gradio calls this once, when the page has loaded. Event listeners name the functions of `playground`; Gradio calls
// them after the server's answer and passes no event, so they find their elements by id.
() => {
  const find = (selector) => document.querySelector(selector);
  const isPhone = () => matchMedia("(width < 720px)").matches;

  window.playground = {
    // A download needs its file before the click: the Save button makes the file, then this clicks the hidden button.
    download: () => find("#file").click(),

    // On a phone the stage is below the form: bring it into view when a run has begun, not when it was refused.
    showStage: () => {
      const stop = find("#stop");
      if (isPhone() && stop && !stop.disabled) find("#status").scrollIntoView({ behavior: "smooth" });
    },

    // A new scene is nowhere else on the page: scroll as far as needed, unless a refused seed is to be read.
    showScene: () => {
      if (isPhone() && !find("#problem .line")) find("#stage").scrollIntoView({ behavior: "smooth", block: "nearest" });
    },
  };
};
