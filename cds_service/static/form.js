// The form without this script works too: then the server asks the follow-ups, and all questions are on one page.
(() => {
  const minutes = document.getElementById("minutes");
  const opened = Number(minutes?.textContent);
  const began = Date.now();
  if (minutes) setInterval(() => { minutes.textContent = Math.max(opened - Math.floor((Date.now() - began) / 60000), 0); }, 10000);
})();
(() => {
  const form = document.getElementById("form");
  const review = document.getElementById("review");
  if (!review) return;
  const questions = [...form.querySelectorAll("[data-question]")];
  const next = document.getElementById("next");
  const back = document.getElementById("back");
  const progress = document.getElementById("progress");
  const phone = window.matchMedia("(max-width: 40rem)");
  let current = null;

  const answers = (id) => [...form.querySelectorAll(`[data-question="${CSS.escape(id)}"] input:checked`)].map((one) => one.value);
  const isShown = (question) => !question.hidden;

  function follow() {
    for (const question of questions.filter((one) => one.dataset.follows)) {
      question.hidden = !question.dataset.follows.split(" ").some((pair) => {
        const [parent, code] = pair.split("=");
        const asked = questions.find((one) => one.dataset.question === parent);
        return asked && isShown(asked) && answers(parent).includes(code);
      });
    }
  }

  function exclude(box) {
    if (box.type !== "checkbox" || !box.checked) return;
    for (const other of box.closest("[data-question]").querySelectorAll("input:checked")) {
      if (other !== box && ("exclusive" in box.dataset || "exclusive" in other.dataset)) other.checked = false;
    }
  }

  function show(question, focus) {
    const shown = questions.filter(isShown);
    const at = shown.indexOf(question);
    questions.forEach((one) => one.classList.toggle("current", one === question));
    current = question;
    back.hidden = at <= 0;
    next.hidden = at === shown.length - 1;
    review.hidden = !next.hidden;
    progress.textContent = form.dataset.steps.replace("{at}", at + 1).replace("{all}", shown.length);
    progress.classList.remove("visually-hidden");
    if (focus) question.focus();
  }

  function lay() {
    form.classList.toggle("stepped", phone.matches);
    if (!phone.matches) {
      next.hidden = back.hidden = true;
      review.hidden = false;
      progress.classList.add("visually-hidden");
      return;
    }
    const wanted = questions.find((one) => one.dataset.question === form.dataset.at) ||
      questions.find((one) => one.classList.contains("faulty") && isShown(one));
    show(current || wanted || questions.find(isShown), false);
  }

  form.addEventListener("change", (event) => {
    exclude(event.target);
    follow();
    if (phone.matches && current) show(current, false);
  });
  const move = (by) => {
    const shown = questions.filter(isShown);
    show(shown[shown.indexOf(current) + by], true);
  };
  next.addEventListener("click", () => move(1));
  back.addEventListener("click", () => move(-1));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && phone.matches && !next.hidden && event.target.tagName === "INPUT") {
      event.preventDefault();
      move(1);
    }
  });
  for (const link of document.querySelectorAll("#faults a")) {
    link.addEventListener("click", (event) => {
      const question = document.getElementById(link.hash.slice(1));
      if (!question) return;
      event.preventDefault();
      if (phone.matches) show(question, true);
      question.scrollIntoView();
      (question.querySelector("input") || question).focus();
    });
  }
  phone.addEventListener("change", lay);
  follow();
  lay();
  if (document.getElementById("faults")) document.getElementById("notice").focus();
})();
