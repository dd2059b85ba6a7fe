// A button that copies the line for a shell. Without scripts the line can be selected as it stands.
(() => {
  if (!navigator.clipboard) return;
  for (const place of document.querySelectorAll("[data-copy]")) {
    const line = place.querySelector("pre");
    if (!line) continue;
    const button = document.createElement("button");
    const told = document.createElement("span");
    button.type = "button";
    button.className = "btn btn-quiet btn-sm";
    button.textContent = place.dataset.copy;
    told.setAttribute("role", "status");
    told.className = "ms-2";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(line.textContent);
      told.textContent = place.dataset.copied;
    });
    place.append(button, told);
  }
})();
