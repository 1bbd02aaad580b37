// Light or dark: the system's choice, or the reader's, kept where the browser lets us.
"use strict";
(() => {
  const names = ["auto", "light", "dark"];
  const kept = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  let theme = names.includes(kept()) ? kept() : "auto";
  const apply = () => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    dispatchEvent(new Event("themechange"));
  };
  apply();
  addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("button.theme");
    const name = button.querySelector("span");
    button.hidden = false;
    name.textContent = theme;
    button.addEventListener("click", () => {
      theme = names[(names.indexOf(theme) + 1) % names.length];
      name.textContent = theme;
      try { localStorage.setItem("theme", theme); } catch { /* not kept, then */ }
      apply();
    });
  });
})();
